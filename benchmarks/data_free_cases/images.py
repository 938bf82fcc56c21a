"""Stored sets of images from every source, made once per teacher and seed."""

from __future__ import annotations

import hashlib
import json
import time
from typing import Any

import torch

from data_free_cases.bench import JUDGES, Bench, Teacher
from fedzda.base import Synthesizer, numpy_rng, torch_rng
from fedzda.compression import Images
from fedzda.generators.files import read_tensors, write_tensors
from fedzda.generators.quality import compare_quality
from fedzda.platform import plugins
from fedzda.platform.data.store import cache_root

_JUDGED = 1000


def stored(
    bench: Bench, teacher: Teacher, source: str, seed: int, count: int, block: dict[str, Any] | None
) -> tuple[Images, dict[str, float]]:
    """``count`` images, and how good they are.

    Args:
        bench: For the judge.
        teacher: Whose images.
        source: ``real``, ``noise``, or any name for ``block``.
        seed: Of the choice, the noise or the fit.
        count: How many.
        block: Settings of the synthesizer; None for real images and noise.
    """
    if source == "real":
        rows = numpy_rng(seed, "data-free-real").permutation(len(teacher.data.train))[:count]
        return Images(teacher.data.train[torch.from_numpy(rows)].float() / 255), {}
    if block is None:
        rng = torch_rng(seed, "data-free-noise")
        return Images(torch.rand(count, *teacher.image.shape, generator=rng)), {}
    key = json.dumps([teacher.fingerprint, block, count, seed])
    mark = hashlib.sha256(key.encode()).hexdigest()[:12]
    path = cache_root() / "data-free" / f"{teacher.name}-{source}-s{seed}-{mark}.safetensors"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        pixels, labels, figures = _made(bench, teacher, seed, count, block)
        metadata = {"key": key, "figures": json.dumps(figures)}
        write_tensors({"images": pixels, "labels": labels}, path, metadata)
    tensors, metadata = read_tensors(path)
    return Images(tensors["images"], tensors["labels"]), json.loads(metadata["figures"])


def synthesizer_of(block: dict[str, Any]) -> Synthesizer:
    """The synthesizer that a block names."""
    config = plugins.config_class("synthesizers", block["name"]).model_validate(block)
    made: Synthesizer = plugins.load("synthesizers", block["name"])(config)
    return made


def _made(
    bench: Bench, teacher: Teacher, seed: int, count: int, block: dict[str, Any]
) -> tuple[torch.Tensor, torch.Tensor, dict[str, float]]:
    """Fit and sample: images, labels, and figures of both."""
    maker = synthesizer_of(block)
    classes = range(teacher.image.num_classes)
    started = time.perf_counter()
    found = maker.fit(teacher.model, classes, teacher.image, torch_rng(seed, "data-free-fit"))
    figures = {f"fit_{name}": value for name, value in found.items()}
    figures["fit_seconds"] = round(time.perf_counter() - started, 1)
    rng = torch_rng(seed, "data-free-sample")
    labels = torch.arange(len(classes)).repeat(-(-count // len(classes)))[:count]
    labels = labels[torch.randperm(count, generator=rng)]
    pixels = maker.sample(labels, rng)
    return pixels, labels, figures | _judged(bench, teacher, pixels, labels)


def _judged(
    bench: Bench, teacher: Teacher, pixels: torch.Tensor, labels: torch.Tensor
) -> dict[str, float]:
    """What a classifier that was not inverted says; nothing where there is no such classifier."""
    if teacher.name not in JUDGES:
        return {}
    judge = bench.teacher(JUDGES[teacher.name])
    few = min(_JUDGED, len(pixels))
    real = judge.data.test[:few].float() / 255
    (row,) = compare_quality(judge.model, {"made": (pixels[:few], labels[:few])}, judge.image, real)
    return {f"judge_{k}": float(v) for k, v in row.items() if k not in ("set", "images")}
