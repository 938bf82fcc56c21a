"""Trained networks as integers: what is lost, what is gained, in ONNX Runtime on one thread."""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from fedzda.base import torch_rng
from fedzda.clients.tasks.config import SegmentationConfig
from fedzda.clients.tasks.segmentation import Segmentation
from fedzda.clients.variants.int8 import OnnxModel
from fedzda.compression import quantize
from fedzda.compression.config import CalibrationConfig, QuantizeConfig
from gsanet_cases.arms import LADDER, Arm, build
from gsanet_cases.training import AUGMENTATION, camvid, evaluate, to_batch

_CALIBRATED = 64
"""Training frames whose ranges are taken."""
_PAIRS = 30


def run_integers(
    size: str,
    seeds: list[int],
    epochs: int,
    work: Path,
    results: Path,
    finished: Callable[[Path, Callable[[], dict[str, Any]]], None],
) -> None:
    """Every finished network of the ladder that has no result yet."""
    for seed in seeds:
        for arm in LADDER.values():
            trained = work / f"{size}-{arm.name}-s{seed}.pt"
            if not _done(trained, epochs):
                raise SystemExit(f"{trained} is no finished network: run --run ladder first")
            finished(
                results / f"int8-{size}-{arm.name}-s{seed}.json",
                lambda arm=arm, seed=seed, trained=trained: run_cell(arm, size, seed, trained),  # type: ignore[misc]
            )


def _done(trained: Path, epochs: int) -> bool:
    return trained.exists() and bool(torch.load(trained, weights_only=True)["done"] == epochs)


def run_cell(arm: Arm, size: str, seed: int, trained: Path) -> dict[str, Any]:
    """One network in floating point, with simulated integers, and with those of ONNX Runtime."""
    data = camvid()
    assert data.image is not None
    model = build(arm, size, data.image)
    kept = torch.load(trained, weights_only=True)
    model.load_state_dict(kept["model"])
    model.eval()
    task = Segmentation(SegmentationConfig(augmentation=AUGMENTATION), data.image)
    rng = torch_rng(seed, "gsanet-int8")
    frames = torch.tensor(data.train["image"]).float() / 255
    config = QuantizeConfig(calibration=CalibrationConfig(images=_CALIBRATED))
    quantized = quantize(model, data.image, config, frames, rng)
    first = to_batch(data.test, np.arange(1), data, torch.device("cpu"))["image"]
    with tempfile.TemporaryDirectory() as folder:
        files = {kind: Path(folder) / f"{kind}.onnx" for kind in ("float", "int8")}
        bytes_ = {"float": quantized.export_float(files["float"])}
        bytes_["int8"] = quantized.export(files["int8"])
        loaded = {kind: OnnxModel(file) for kind, file in files.items()}
    forms = {"float": model, "simulated": quantized.model, "int8": loaded["int8"]}
    return {
        "arm": arm.name,
        "size": size,
        "seed": seed,
        "epochs": kept["epochs"],
        "miou": {kind: evaluate(form, task, data)["all"]["miou"] for kind, form in forms.items()},
        "bytes": bytes_,
        "ms": side_by_side(loaded, first),
    }


def side_by_side(models: dict[str, nn.Module], image_1CHW: torch.Tensor) -> dict[str, float]:
    """Median milliseconds of every model on one image, in turns."""
    times: dict[str, list[float]] = {kind: [] for kind in models}
    for turn in range(_PAIRS + 2):
        for kind, model in models.items():
            start = time.perf_counter()
            model(image_1CHW)
            if turn > 1:
                times[kind].append(1000 * (time.perf_counter() - start))
    return {kind: round(statistics.median(found), 3) for kind, found in times.items()}
