"""HyperCon on the DAVIS clip tennis: consistency beside fidelity, against its baselines.

    FEDZDA_DATA=… python benchmarks/hypercon.py --run headline    # about ten minutes on one core
    FEDZDA_DATA=… python benchmarks/hypercon.py --run ablation
    FEDZDA_DATA=… python benchmarks/hypercon.py --run blind       # trains a network per model
    FEDZDA_DATA=… python benchmarks/hypercon.py --run blind-2000 --models posterise equalise
    FEDZDA_DATA=… python benchmarks/hypercon.py --run headline --frames 6 --dry
    python benchmarks/hypercon.py --table      # prints the tables, puts them into docs/methods
    FEDZDA_DATA=… python benchmarks/hypercon.py --strip docs/images/hypercon.jpg

Every finished cell is a small JSON file under docs/studies/results/hypercon/, and cells that have
one are skipped. Protocol: Gaussian noise of 12/255 on 8-bit frames (numpy ``default_rng(0)``,
frames in order, rounded), motion for the warping error from the clean clip by DIS medium. Fidelity
is PSNR to the model on clean frames, to the clean frames for the denoiser, to the frame-wise result
for style, and to the truth inside the hole for inpainting (masks displaced by half the width).
Style and inpainting see the clip without noise; their networks are trained first and kept under
runs/.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import platform
import resource
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import docs_page
import numpy as np
import pyarrow.parquet as pq
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from fedzda.base import numpy_rng
from fedzda.vision.hypercon.arrays import Frame, Hole
from fedzda.vision.hypercon.blind import TransformNet, run_blind, train_blind
from fedzda.vision.hypercon.config import BlindConfig, HyperConConfig, SlomoConfig
from fedzda.vision.hypercon.flow import dis, make_flow
from fedzda.vision.hypercon.image_models import registry
from fedzda.vision.hypercon.image_models.adapters import from_network
from fedzda.vision.hypercon.interpolate import Interpolator
from fedzda.vision.hypercon.metrics import (
    Motion,
    clip_psnr,
    clip_ssim,
    motions,
    patch_consistency,
    psnr_of,
    warping_error,
)
from fedzda.vision.hypercon.pictures import slice_over_time, strip
from fedzda.vision.hypercon.pipeline import HyperCon
from fedzda.vision.hypercon.slomo import Slomo, slomo_network, train_slomo
from fedzda.vision.hypercon.translate import ImageModel
from fedzda.vision.hypercon.video import write_picture

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "docs" / "studies" / "results" / "hypercon"
PAGE = ROOT / "docs" / "methods" / "hypercon.md"
WEIGHTS = ROOT / "runs" / "hypercon"
MODELS = ["posterise", "equalise", "bilateral", "style", "inpainting"]
ARMS: dict[str, dict[str, Any]] = {
    "frame-wise": {"inserted": 0, "half_window": 0},
    "median-no-flow": {
        "inserted": 0,
        "half_window": 1,
        "flow": "zero",
        "pool": "median",
        "weighting": "in-view",
    },
    "aligned": {"inserted": 0, "half_window": 1},
    "hypercon": {"inserted": 1, "half_window": 2},
    "aligned-in-view": {"inserted": 0, "half_window": 1, "weighting": "in-view"},
    "hypercon-in-view": {"inserted": 1, "half_window": 2, "weighting": "in-view"},
    "hypercon-occlusion": {"inserted": 1, "half_window": 2, "weighting": "occlusion"},
    "i1-c1": {"inserted": 1, "half_window": 1},
    "i0-c2": {"inserted": 0, "half_window": 2},
    "i0-c4": {"inserted": 0, "half_window": 4},
    "i1-c4": {"inserted": 1, "half_window": 4},
    "i1-c2-d2": {"inserted": 1, "half_window": 2, "dilation": 2},
    "i3-c4": {"inserted": 3, "half_window": 4},
    "median": {"inserted": 1, "half_window": 2, "pool": "median"},
    "medoid": {"inserted": 1, "half_window": 2, "pool": "medoid"},
    "translated": {"inserted": 1, "half_window": 2, "flow_on": "translated"},
    "farneback": {"inserted": 1, "half_window": 2, "flow": "farneback"},
    "known-only": {"inserted": 1, "half_window": 2, "known_only": True},
    "slomo": {"inserted": 1, "half_window": 2},
    "blind": {},
    "blind-2000": {"steps": 2000},
}
BLIND = ["blind", "blind-2000"]
HEADLINE = ["frame-wise", "median-no-flow", "aligned", "hypercon", "hypercon-in-view"]
SETS = {
    "headline": HEADLINE,
    "ablation": [arm for arm in ARMS if arm not in (*HEADLINE, *BLIND)],
    "blind": ["blind"],
    "blind-2000": ["blind-2000"],
}
_NOISE, _HOLE_GROWTH = 12, 13
"""Standard deviation of 8-bit noise; side in pixels of the square that masks are dilated with."""
_BORDER = 2
"""Frames at each end that have shorter windows."""


class Study(NamedTuple):
    """What one image model is studied on."""

    video: list[Frame]
    truth: list[Frame]
    """Empty: the frame-wise result."""
    masks: list[Hole] | None
    steps: list[Motion]


def main() -> None:
    """Run cells, print the table, write the strip."""
    options = parse()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    if options.run:
        run_all(options)
    if options.table:
        for mark, arms in (("headline", [*HEADLINE, *BLIND]), ("ablation", SETS["ablation"])):
            found = table(arms)
            print(f"\n{mark}\n\n{found}")
            docs_page.put(PAGE, mark, found)
    if options.strip:
        write_strip(options)


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--run", choices=sorted(SETS))
    parser.add_argument("--models", nargs="+", choices=MODELS, default=MODELS)
    parser.add_argument("--frames", type=int, default=70)
    parser.add_argument("--dry", action="store_true", help="keep no cell")
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--strip", type=Path)
    return parser.parse_args()


def run_all(options: argparse.Namespace) -> None:
    """Every cell that has no result yet."""
    for name in options.models:
        wanted = [arm for arm in SETS[options.run] if arm != "known-only" or name == "inpainting"]
        if name == "inpainting":  # the baseline knows no masks
            wanted = [arm for arm in wanted if arm not in BLIND]
        missing = [arm for arm in wanted if options.dry or not cell_path(name, arm).exists()]
        if not missing:
            continue
        model = image_model(name)
        study = study_of(name, model, options.frames)
        for arm in missing:
            cell = run_cell(name, arm, model, study)
            print(json.dumps(cell), flush=True)
            if not options.dry:
                RESULTS.mkdir(parents=True, exist_ok=True)
                cell_path(name, arm).write_text(json.dumps(cell, indent=1) + "\n")


def cell_path(name: str, arm: str) -> Path:
    """Where the result of one model with one method is kept."""
    return RESULTS / f"{name}-{arm}.json"


def run_cell(name: str, arm: str, model: ImageModel, study: Study) -> dict[str, Any]:
    """One clip through one method."""
    produced = outputs(name, arm, model, study)  # networks of baselines are trained here
    started = time.perf_counter()
    found = list(produced)
    seconds = time.perf_counter() - started
    truth = study.truth or [model(frame) for frame in study.video]
    inner = slice(_BORDER, -_BORDER)
    cell = {
        "model": name,
        "arm": arm,
        "config": ARMS[arm],
        "frames": len(found),
        "e_warp": warping_error(found, study.steps, study.masks),
        "e_warp_inner": warping_error(
            found[inner], study.steps[inner], study.masks and study.masks[inner]
        ),
        "psnr": hole_psnr(found, truth, study.masks) if study.masks else clip_psnr(found, truth),
        "ssim": clip_ssim(found, truth),
        "patch": patch_consistency(found, study.masks),
        "seconds_per_frame": seconds / len(found),
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    if study.masks:
        cell["removal_patch"] = object_removal(arm, model, study)
    return cell | {"machine": f"{platform.machine()}, one thread", "date": time.strftime("%F")}


def outputs(name: str, arm: str, model: ImageModel, study: Study) -> Iterator[Frame]:
    """The translated clip."""
    if arm in BLIND:
        return run_blind(blind_network(name, arm, model), study.video, model)
    config = HyperConConfig(**ARMS[arm])
    interpolator = slomo() if arm == "slomo" else None
    return HyperCon(config, None, interpolator).run(study.video, model, study.masks)


def hole_psnr(found: list[Frame], truth: list[Frame], masks: list[Hole]) -> float:
    """Mean over frames of the PSNR in dB inside the hole."""
    rows = [
        psnr_of(float(np.square(a - b, dtype=np.float64)[hole].mean()))
        for a, b, hole in zip(found, truth, masks, strict=True)
    ]
    return float(np.mean(rows))


def object_removal(arm: str, model: ImageModel, study: Study) -> float:
    """Patch consistency in dB with the object itself taken away.

    There is no truth, and no warping error: the clip's motion inside the hole is the object's.
    """
    masks = clip(len(study.video))[1]
    config = HyperConConfig(**ARMS[arm])
    interpolator = slomo() if arm == "slomo" else None
    found = list(HyperCon(config, None, interpolator).run(study.video, model, masks))
    return patch_consistency(found, masks)


# ---------------------------------------------------------------------------------------------
# Clip and models


def clip(count: int) -> tuple[list[np.ndarray], list[Hole]]:
    """8-bit frames, and dilated masks of the object."""
    rows = pq.read_table(Path(os.environ["FEDZDA_DATA"]) / "davis" / "tennis.parquet").to_pylist()
    kernel = np.ones((_HOLE_GROWTH, _HOLE_GROWTH), np.uint8)
    frames, masks = [], []
    for row in rows[:count]:
        frames.append(np.array(Image.open(io.BytesIO(row["frame"]["bytes"])).convert("RGB")))
        mask = np.array(Image.open(io.BytesIO(row["mask"]["bytes"])).convert("L")) >= 128
        masks.append(cv2.dilate(mask.astype(np.uint8), kernel) > 0)
    return frames, masks


def study_of(name: str, model: ImageModel, count: int) -> Study:
    """See the first lines of this file."""
    frames, masks = clip(count)
    clean = [frame / np.float32(255) for frame in frames]
    steps = list(motions(clean, dis))
    if name == "style":
        return Study(clean, [], None, steps)
    if name == "inpainting":
        displaced = [np.roll(mask, mask.shape[1] // 2, axis=1) for mask in masks]
        return Study(clean, clean, displaced, steps)
    rng = np.random.default_rng(0)
    noisy = [np.clip((f + rng.normal(0, _NOISE, f.shape)).round(), 0, 255) for f in frames]
    video = [frame.astype(np.float32) / 255 for frame in noisy]
    truth = clean if name == "bilateral" else [model(frame) for frame in clean]
    return Study(video, truth, None, steps)


def image_model(name: str) -> ImageModel:
    """Weightless, or trained now and kept."""
    ready = registry.weightless(name)
    if ready is not None:
        return ready
    path = WEIGHTS / f"{name}.safetensors"
    if not path.exists():
        WEIGHTS.mkdir(parents=True, exist_ok=True)
        started = time.perf_counter()
        registry.save_network(path, *registry.trained(name))
        print(f"trained {name} in {time.perf_counter() - started:.0f} s", flush=True)
    return from_network(registry.load_network(name, path))


def photographs_of_bsds() -> list[np.ndarray]:
    """The training photographs of BSDS500."""
    path = Path(os.environ["FEDZDA_DATA"]) / "bsds500"
    rows = pq.read_table(next(path.glob("train*.parquet"))).to_pylist()
    return [np.array(Image.open(io.BytesIO(row["image"]["bytes"])).convert("RGB")) for row in rows]


def blind_network(name: str, arm: str, model: ImageModel) -> TransformNet:
    """Blind video consistency for one image model, trained now or kept."""
    config, path = BlindConfig(**ARMS[arm]), WEIGHTS / f"{arm}-{name}.safetensors"
    network = TransformNet(config.width)
    if not path.exists():
        WEIGHTS.mkdir(parents=True, exist_ok=True)
        torch.manual_seed(0)
        rng = numpy_rng(0, "blind")
        network = train_blind(photographs_of_bsds(), model, config, rng)
        save_file(network.state_dict(), path)
    network.load_state_dict(load_file(path))
    return network.eval()


def slomo() -> Interpolator:
    """The learned interpolator, trained now or kept."""
    config, path = SlomoConfig(), WEIGHTS / "slomo.safetensors"
    network = slomo_network(config)
    if not path.exists():
        WEIGHTS.mkdir(parents=True, exist_ok=True)
        torch.manual_seed(0)
        network = train_slomo(photographs_of_bsds(), dis, config, numpy_rng(0, "slomo"))
        save_file(network.state_dict(), path)
    network.load_state_dict(load_file(path))
    return Slomo(network, make_flow("dis-medium"), config.max_flow)


# ---------------------------------------------------------------------------------------------
# Table and strip


def table(arms: list[str]) -> str:
    """Markdown: every cell of some arms that there is, ratios to frame-wise."""
    heads = ("model", "method", "E x1000", "to frame-wise", "PSNR dB", "SSIM", "patch dB")
    heads += ("s/frame",)
    lines = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    for name in MODELS:
        alone = read(name, "frame-wise")
        for arm in arms:
            cell = read(name, arm)
            if cell is None:
                continue
            ratio = f"{cell['e_warp'] / alone['e_warp']:.2f}" if alone else "–"
            figures = (f"{1e3 * cell['e_warp']:.2f}", ratio, f"{cell['psnr']:.2f}")
            figures += (f"{cell['ssim']:.3f}", f"{cell['patch']:.1f}")
            figures += (f"{cell['seconds_per_frame']:.2f}",)
            lines.append("| " + " | ".join((name, arm, *figures)) + " |")
    return "\n".join(lines)


def read(name: str, arm: str) -> dict[str, Any] | None:
    """A cell's figures; None: it has not run."""
    path = cell_path(name, arm)
    return json.loads(path.read_text()) if path.exists() else None


def write_strip(options: argparse.Namespace) -> None:
    """A row of moments per model and method, and a pixel column over time."""
    rows: dict[str, list[Frame]] = {}
    moments = [10, 11, 12]
    for name in options.models:
        model = image_model(name)
        study = study_of(name, model, options.frames)
        arms = ("frame-wise", "aligned", "hypercon")
        made = {"input": study.video}
        made |= {arm: list(outputs(name, arm, model, study)) for arm in arms}
        for title, frames in made.items():
            shown = [np.clip(frames[t], 0, 1) for t in moments if t < len(frames)]
            column = slice_over_time(frames, frames[0].shape[1] // 2)
            rows[f"{name}: {title}, and its middle column over time"] = [*shown, column]
    options.strip.parent.mkdir(parents=True, exist_ok=True)
    write_picture(options.strip, strip(rows))


if __name__ == "__main__":
    main()
