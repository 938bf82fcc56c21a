"""Random images with class-dependent means, dealt out by fedzda and exported for the other sides.

fedzda gets an ``.npz`` through its own data layer; the others get, as arrays, exactly what each of
fedzda's clients holds. Everything is made once and kept in fedzda's cache.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from engine_cases.models import make_model
from engine_cases.workloads import Workload
from fedzda.platform.config.load import from_dict
from fedzda.platform.data.federation import Federation, prepare
from fedzda.platform.data.store import cache_root, key, stored
from fedzda.platform.files import write_json

CLASSES = 10
_FORMAT = 1
_NOISE = 64.0
_EXPORTED_CLIENTS = 1000
"""Larger federations are fedzda's alone and are not exported."""


def made(workload: Workload) -> Path:
    """The folder of a workload's data, made if it is not there."""
    spec = {k: v for k, v in asdict(workload).items() if k not in ("title", "name")}
    root = cache_root() / "bench" / "data"
    raw = stored(root / key(_FORMAT, spec), lambda folder: _generate(workload, folder))
    return stored(raw / "export", lambda folder: _export(workload, raw, folder))


def data_block(workload: Workload, raw: Path) -> dict[str, Any]:
    """fedzda's ``data:`` block: every client gets ``samples`` for training, none is held back."""
    return {
        "name": "arrays",
        "path": str(raw / "federation.npz"),
        "test_image": "test_image",
        "test_label": "test_label",
        "clients": workload.clients,
        "partition": {"name": "iid"},
        "test_fraction": 0.0,
    }


def _generate(workload: Workload, folder: Path) -> None:
    rng = np.random.default_rng(0)
    channels, height, width = workload.image
    # coarse patterns survive convolution and pooling
    coarse = rng.choice([-1.0, 1.0], (CLASSES, channels, height // 4, width // 4))
    patterns = np.kron(coarse, np.ones((1, 1, 4, 4))) * workload.contrast
    total = workload.clients * workload.samples
    labels = rng.permutation(np.arange(total) % CLASSES)
    test_labels = np.arange(workload.test_samples) % CLASSES
    np.savez(
        folder / "federation.npz",
        image=_pixels(patterns, labels, rng),
        label=labels,
        test_image=_pixels(patterns, test_labels, rng),
        test_label=test_labels,
    )


def _pixels(patterns: Any, labels: Any, rng: np.random.Generator) -> Any:
    """(N, C, H, W) uint8: grey plus the pattern of the class plus normal noise."""
    shape = patterns.shape[1:]
    images = np.empty((len(labels), *shape), np.uint8)
    for start in range(0, len(labels), 10_000):
        part = labels[start : start + 10_000]
        noise = _NOISE * rng.standard_normal((len(part), *shape), dtype=np.float32)
        images[start : start + len(part)] = np.clip(128 + patterns[part] + noise, 0, 255)
    return images


def _export(workload: Workload, raw: Path, folder: Path) -> None:
    federation = _federation(workload, raw)
    assert federation.image is not None
    sizes = federation.sizes("train")
    assert sizes.min() == sizes.max() == workload.samples, "every client has its share"
    torch.manual_seed(0)
    weights = {k: v.numpy() for k, v in make_model(workload.model).state_dict().items()}
    np.savez(folder / "initial.npz", **weights)
    np.save(folder / "test_images.npy", federation.test["image"])
    np.save(folder / "test_labels.npy", federation.test["label"])
    moments = {"mean": list(federation.image.mean), "std": list(federation.image.std)}
    write_json(folder / "moments.json", moments)
    if workload.clients <= _EXPORTED_CLIENTS:
        held = np.stack([federation.indices(i, "train") for i in range(workload.clients)])
        np.save(folder / "images.npy", federation.train["image"][held])
        np.save(folder / "labels.npy", federation.train["label"][held])


def _federation(workload: Workload, raw: Path) -> Federation:
    config = from_dict(
        {
            "name": "bench",
            "data": data_block(workload, raw),
            "model": {"name": "mlp"},
            "strategy": {"name": "fed-avg"},
        }
    )
    return prepare(config.data, config.seed, raw)
