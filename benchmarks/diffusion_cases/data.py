"""Images of the study: pixels in [-1, 1] for the U-Net, in [0, 1] for the judges."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, NamedTuple

import torch

from fedzda.base import ImageSpec, numpy_rng
from fedzda.platform.data.federation import prepare
from fedzda.platform.data.sources.config import ParquetConfig

ROOT = Path(__file__).resolve().parents[2]
_COLUMN = {"mnist": "image", "cifar10": "img"}
_HELD_OUT = 500
"""Digits that neither the U-Net nor the judges are trained on."""


class Data(NamedTuple):
    """Images in memory, pixels float32 in [0, 1]."""

    train: torch.Tensor
    train_labels: torch.Tensor
    test: torch.Tensor
    test_labels: torch.Tensor
    image: ImageSpec


class Study(NamedTuple):
    """What is fixed for a data set."""

    model: dict[str, Any]
    """Block of the U-Net."""
    steps: int
    """Training steps."""
    lr: float
    """First step size, down to 0 along half a cosine."""


STUDIES = {
    "digits": Study({"name": "diffusion-unet", "widths": [16, 32]}, 8000, 1e-3),
    "mnist": Study({"name": "diffusion-unet", "widths": [32, 64]}, 40000, 2e-4),
    "cifar10": Study({"name": "diffusion-unet", "widths": [64, 128, 128]}, 200000, 2e-4),
}


def load_data(name: str) -> Data:
    """The 8x8 digits, or a data set under ``$FEDZDA_DATA``."""
    if name == "digits":
        return _digits()
    if "FEDZDA_DATA" not in os.environ:
        raise SystemExit(f"set FEDZDA_DATA to the folder that holds {name}/train.parquet")
    config = ParquetConfig(path=f"${{FEDZDA_DATA}}/{name}", image=_COLUMN[name], clients=1)
    found = prepare(config, 0, ROOT)
    assert found.image is not None
    tables = (found.train, found.test)
    pixels = [torch.tensor(table["image"]).float() / 255 for table in tables]
    labels = [torch.tensor(table["label"]) for table in tables]
    return Data(pixels[0], labels[0], pixels[1], labels[1], _centred(found.image))


def _digits() -> Data:
    from sklearn.datasets import load_digits

    found = load_digits()
    order = numpy_rng(0, "diffusion-digits").permutation(len(found.target))
    pixels = torch.tensor(found.images[order], dtype=torch.float32).unsqueeze(1) / 16
    labels = torch.tensor(found.target[order])
    held = _HELD_OUT
    image = _centred(ImageSpec((1, 8, 8), 10, (0.5,), (0.5,)))
    return Data(pixels[held:], labels[held:], pixels[:held], labels[:held], image)


def _centred(image: ImageSpec) -> ImageSpec:
    """The same images, normalised to [-1, 1]."""
    channels = image.shape[0]
    half = (0.5,) * channels
    return ImageSpec(image.shape, image.num_classes, half, half)
