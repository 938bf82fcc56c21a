"""Samples of old classes that stand in for data nobody has any more."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch

from fedzda.base import ImageSpec, Synthesizer
from fedzda.platform.averaging import as_tensor
from fedzda.platform.parts import build_synthesizer

IMAGES, GENERATOR = "replay-images", "replay-generator"
"""Records of a request: samples as bytes, or the generator that makes them."""


class Replay(ABC):
    """Draws labelled images of the old classes, each class with the same chance."""

    @abstractmethod
    def draw(self, count: int, rng: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """Normalised images ``(count, C, H, W)`` and positions ``(count,)``."""


class Noise(Replay):
    """Uniform pixels with the same labels: what is not owed to the images (a control)."""

    def __init__(self, image: ImageSpec, num_old: int) -> None:
        self.image, self.num_old = image, num_old

    def draw(self, count: int, rng: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """See :meth:`Replay.draw`."""
        labels = torch.randint(self.num_old, (count,), generator=rng)
        pixels = torch.rand(count, *self.image.shape, generator=rng)
        return self.image.normalize(pixels), labels


class Fresh(Replay):
    """New samples of a generator in every step."""

    def __init__(self, synthesizer: Synthesizer, image: ImageSpec, num_old: int) -> None:
        self.synthesizer, self.image, self.num_old = synthesizer, image, num_old

    def draw(self, count: int, rng: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """See :meth:`Replay.draw`."""
        labels = torch.randint(self.num_old, (count,), generator=rng)
        return self.image.normalize(self.synthesizer.sample(labels, rng)), labels


class Stored(Replay):
    """A fixed set of samples, made once.

    Args:
        images_NCHW: Normalised.
        labels_N: Positions, balanced.
    """

    def __init__(self, images_NCHW: torch.Tensor, labels_N: torch.Tensor) -> None:
        self.images, self.labels = images_NCHW, labels_N

    def draw(self, count: int, rng: torch.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """See :meth:`Replay.draw`."""
        rows = torch.randint(len(self.labels), (count,), generator=rng)
        return self.images[rows], self.labels[rows]


def replay_of(
    options: Mapping[str, Any],
    arrays: Mapping[str, Mapping[str, Any]],
    image: ImageSpec,
    num_old: int,
    rng: torch.Generator,
) -> Replay | None:
    """What a request brings to replay; None where it brings nothing.

    Args:
        options: ``strategy.dfgr`` as plain data.
        arrays: Records of the request.
        image: The images of all classes.
        num_old: Old classes.
        rng: Draws the stored samples, if a number is stored.
    """
    if not options["enabled"]:
        return None
    if options["images"] == "noise":
        return Noise(image, num_old)
    if IMAGES in arrays:
        pixels = as_tensor(arrays[IMAGES]["image"]).float().div(255.0)
        return Stored(image.normalize(pixels), as_tensor(arrays[IMAGES]["label"]))
    if GENERATOR not in arrays:
        return None
    synthesizer = build_synthesizer(options["synthesizer"])
    state = {name: torch.tensor(value) for name, value in arrays[GENERATOR].items()}
    synthesizer.load_state(state, replace(image, num_classes=num_old))
    fresh = Fresh(synthesizer, image, num_old)
    if options["store"] is None:
        return fresh
    labels = torch.arange(num_old).repeat(-(-options["store"] // num_old))[: options["store"]]
    labels = labels[torch.randperm(len(labels), generator=rng)]
    with torch.no_grad():
        return Stored(image.normalize(synthesizer.sample(labels, rng)), labels)
