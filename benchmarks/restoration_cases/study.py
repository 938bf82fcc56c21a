"""A study: cells that are trained one by one, and can be left off and gone on with."""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import nn

import fedzda
from fedzda.vision.restoration.training import Batch, Progress, TrainingConfig, fit

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "docs" / "studies" / "results" / "restoration"
PICTURES = ROOT / "docs" / "images" / "restoration"
CHECKPOINTS = ROOT / "runs" / "restoration"


@dataclass(frozen=True)
class Cell:
    """One training.

    Attributes:
        network: Makes the network; torch's global seed is set before.
        batch: The batch of a step.
        test: Figures of a network in eval mode on the test images; ``quick`` on a few of them.
        training: How it is trained.
        picture: Crops ``(C, H, W)`` before, after and of the truth, of one height, with a network
            in eval mode.
        notes: What else the result file says.
    """

    network: Callable[[], nn.Module]
    batch: Callable[[int], Batch]
    test: Callable[[nn.Module, bool], dict[str, float]]
    training: TrainingConfig
    picture: Callable[[nn.Module], list[torch.Tensor]] | None = None
    notes: Mapping[str, Any] = field(default_factory=dict)


def run(study: str, arm: str, seed: int, cell: Cell, device: str, stop_after: int | None) -> None:
    """Train a cell, from its checkpoint if there is one, and write its result when it is done."""
    result = RESULTS / study / f"{arm}-s{seed}.json"
    if result.exists():
        print(f"{result.relative_to(ROOT)}: done before")
        return
    torch.manual_seed(seed)
    network = cell.network().to(device)

    def report(progress: Progress) -> None:
        point = progress.curve[-1]
        point.update({f"quick_{key}": value for key, value in cell.test(network, True).items()})
        rate = progress.seconds / progress.step
        print(study, arm, seed, {**point, "seconds_per_step": round(rate, 3)}, flush=True)

    checkpoint = CHECKPOINTS / study / f"{arm}-s{seed}.safetensors"
    progress = fit(network, cell.batch, cell.training, checkpoint, report, stop_after)
    if progress.step < cell.training.steps:
        print(f"{study} {arm}: left off at step {progress.step}; the same command goes on")
        return
    outcome = cell.test(network, False)
    document = {
        "study": study,
        "arm": arm,
        "seed": seed,
        "figures": outcome,
        "parameters": sum(p.numel() for p in network.parameters()),
        "training": cell.training.model_dump(),
        "seconds": round(progress.seconds, 1),
        "curve": progress.curve,
        **cell.notes,
        "fedzda": fedzda.__version__,
        "torch": torch.__version__,
        "machine": f"{platform.machine()}, {device}, {torch.get_num_threads()} threads",
        "date": time.strftime("%Y-%m-%d"),
    }
    result.parent.mkdir(parents=True, exist_ok=True)
    result.write_text(json.dumps(document, indent=1) + "\n")
    if cell.picture is not None and seed == 0:
        paint(cell.picture(network), PICTURES / f"{study}-{arm}.png")
    print(study, arm, seed, outcome, f"{progress.seconds:.0f} s", flush=True)


def paint(crops: list[torch.Tensor], path: Path) -> None:
    """Crops side by side in a PNG, four white columns between them."""
    gap = torch.ones(3, crops[0].shape[1], 4)
    strip = torch.cat([part for crop in crops for part in (crop, gap)][:-1], dim=2)
    path.parent.mkdir(parents=True, exist_ok=True)
    array = (strip.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy()
    Image.fromarray(array).save(path, optimize=True)


def table(study: str) -> str:
    """Markdown: every result of a study."""
    cells = [json.loads(path.read_text()) for path in sorted((RESULTS / study).glob("*.json"))]
    if not cells:
        return f"{study}: no results yet"
    names = list(cells[0]["figures"])
    columns = ["arm", "seed", "parameters", "steps", "hours", *names]
    lines = ["| " + " | ".join(columns) + " |", "|---" * len(columns) + "|"]
    for cell in cells:
        figures = [f"{cell['figures'].get(name, float('nan')):.4g}" for name in names]
        count, steps = f"{cell['parameters']:,}", f"{cell['training']['steps']:,}"
        front = [cell["arm"], str(cell["seed"]), count, steps, f"{cell['seconds'] / 3600:.2f}"]
        lines.append("| " + " | ".join([*front, *figures]) + " |")
    return "\n".join([*lines, "", f"Machine: {cells[0]['machine']}, {cells[0]['date']}."])
