"""Images of the study: pixels in [-1, 1] for the U-Net, in [0, 1] for the judges."""

from __future__ import annotations

from typing import Any, NamedTuple

import teachers
import torch
from teachers import Data

from fedzda.base import ImageSpec, numpy_rng

_HELD_OUT = 500
"""Digits that neither the U-Net nor the judges are trained on."""


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
    """The 8x8 digits, or a data set under ``$FEDZDA_DATA``; pixels float32 in [0, 1]."""
    if name == "digits":
        return _digits()
    found = teachers.load_data(name)
    train, test = (pixels.float() / 255 for pixels in (found.train, found.test))
    return Data(train, found.train_labels, test, found.test_labels, _centred(found.image))


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
