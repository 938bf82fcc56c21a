"""Restoration as a federated task: simulations, one for each arm and seed.

``polyu``: five cameras, split by scene; local-only, averaged, fair, personalised, centralised at
the same number of steps. ``fed-sr``: the degradation that clients find out against plain bicubic
shrinking, and against the true one. ``fed-sr-fresh``: the same with cameras that nobody had looked
at when the study was written down: seed s draws those of ``task.camera_seed`` 100 + s.
"""

from __future__ import annotations

import json
import platform
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fedzda
from fedzda.platform.recorder import read_clients
from fedzda.platform.runs import Run
from fedzda.platform.simulation import Simulation
from restoration_cases.study import CHECKPOINTS, RESULTS, ROOT

CENTRAL_STEPS = 100
"""Steps per round on the pool: those of five clients."""


@dataclass(frozen=True)
class Study:
    """Simulations that differ in a few keys.

    Attributes:
        base: Shipped simulation.
        arms: Name to the keys that it changes (``__`` for a dot).
        figures: Metrics of the client table that are kept, those of the last evaluation.
        cameras: ``task.camera_seed`` of seed 0, to which further seeds are added; left out: every
            seed has the cameras that ship.
    """

    base: str
    arms: Mapping[str, Mapping[str, Any]]
    figures: tuple[str, ...]
    cameras: int | None = None


DEGRADATIONS = {name: {"task__degradation": name} for name in ("bicubic", "estimated", "oracle")}
SR_FIGURES = ("psnr", "ssim", "bicubic_psnr")

STUDIES = {
    "polyu": Study(
        "fed-denoise-polyu",
        {
            "local-only": {"strategy": {"name": "local-only"}},
            "fed-avg": {"strategy": {"name": "fed-avg"}},
            "q-ffl": {"strategy": {"name": "q-ffl", "q": 0.1, "lipschitz": 1000}},
            "q-ffl-0.1": {"strategy": {"name": "q-ffl", "q": 0.1, "lipschitz": 0.1}},
            "afl": {"strategy": {"name": "afl"}},
            "term": {"strategy": {"name": "term", "t": 1.0}},
            "fed-mgda": {"strategy": {"name": "fed-mgda", "normalize": False}},
            "ditto": {"strategy": {"name": "ditto", "lam": 0.1}},
            "centralised": {
                "strategy": {"name": "centralised"},
                "local__steps": CENTRAL_STEPS,
            },
        },
        ("psnr", "ssim", "noisy_psnr", "gain_over_filters"),
    ),
    "fed-sr": Study("fed-sr", DEGRADATIONS, SR_FIGURES),
    "fed-sr-fresh": Study("fed-sr", DEGRADATIONS, SR_FIGURES, cameras=100),
}


def run(
    name: str, arm: str, seed: int, rounds: int | None, steps: int | None, workers: int
) -> None:
    """One cell, or the rest of one that was stopped; nothing if it has a result.

    Args:
        name: Of the study.
        arm: Of the cell.
        seed: Of the run.
        rounds: Instead of those of the shipped simulation, whose results alone are kept.
        steps: Local steps per round, likewise.
        workers: Processes; 1: this one.
    """
    study, tried = STUDIES[name], rounds is not None or steps is not None
    result = RESULTS / name / f"{arm}-s{seed}.json"
    if result.exists() and not tried:
        print(f"{result.relative_to(ROOT)}: done before")
        return
    output = CHECKPOINTS / name / (f"{arm}-s{seed}" + ("-tried" if tried else ""))
    begun = sorted(path.parent.parent for path in output.glob("*/checkpoints/latest"))
    if begun and fedzda.load(begun[-1]).status["state"] != "finished":
        done = Simulation.resume(begun[-1])
    elif begun and not tried:
        done = fedzda.load(begun[-1])
    else:
        changes = {**study.arms[arm], "seed": seed, "output": str(output), "report": False}
        changes |= {} if study.cameras is None else {"task__camera_seed": study.cameras + seed}
        changes |= {} if rounds is None else {"rounds": rounds}
        changes |= {} if steps is None else {"local__steps": steps}
        changes["engine"] = (
            {"name": "ray", "workers": workers} if workers > 1 else {"name": "inline"}
        )
        done = fedzda.run(study.base, **changes)
    document = summary(done, study, {"study": name, "arm": arm, "seed": seed})
    if not tried:
        result.parent.mkdir(parents=True, exist_ok=True)
        result.write_text(json.dumps(document, indent=1) + "\n")
    print(name, arm, seed, json.dumps(document["clients"]), flush=True)


def summary(run: Run, study: Study, cell: dict[str, Any]) -> dict[str, Any]:
    """Every client's figures in the last evaluation, of the global and of personal models."""
    table = read_clients(run.path / "clients")
    table = table[(table.phase == "evaluate") & (table.split == "test")]
    table = table[(table["round"] == table["round"].max()) & table.metric.isin(study.figures)]
    names = client_names(run.path)
    clients: dict[str, dict[str, dict[str, float]]] = {}
    for row in table.itertuples():
        stage = clients.setdefault(str(row.stage), {})
        client = stage.setdefault(names.get(int(row.client), str(row.client)), {})
        client[str(row.metric)] = round(float(row.value), 4)
    return {
        **cell,
        "rounds": run.summary["rounds"],
        "clients": clients,
        "test": run.summary["global_test"],
        "seconds": round(run.summary["seconds"]["total"], 1),
        "fedzda": fedzda.__version__,
        "machine": platform.machine(),
        "date": time.strftime("%Y-%m-%d"),
    }


def client_names(folder: Path) -> dict[int, str]:
    """Natural names of the clients of a run."""
    from fedzda.platform.config.load import load_config
    from fedzda.platform.data.dealing import dealt

    loaded = load_config(folder / "config.yaml")
    return dict(enumerate(dealt(loaded.config, loaded.folder).client_ids or []))


def table(name: str) -> str:
    """Markdown: PSNR in dB of every client in every arm, mean over seeds."""
    arms: dict[tuple[str, str], list[dict[str, float]]] = {}
    for path in sorted((RESULTS / name).glob("*.json")):
        cell = json.loads(path.read_text())
        for stage, clients in cell["clients"].items():
            figures = {
                client: found["psnr"] for client, found in clients.items() if "psnr" in found
            }
            arms.setdefault((cell["arm"], stage), []).append(figures)
    if not arms:
        return f"{name}: no results yet"
    known = sorted({client for cells in arms.values() for cell in cells for client in cell})
    columns = ["arm", "models", "seeds", *known, "worst"]
    lines = ["| " + " | ".join(columns) + " |", "|---" * len(columns) + "|"]
    order = list(STUDIES[name].arms)
    for (arm, stage), cells in sorted(arms.items(), key=lambda item: order.index(item[0][0])):
        means = [sum(cell[client] for cell in cells) / len(cells) for client in known]
        shown = [f"{mean:.2f}" for mean in (*means, min(means))]
        lines.append("| " + " | ".join([arm, stage, str(len(cells)), *shown]) + " |")
    return "\n".join(lines)
