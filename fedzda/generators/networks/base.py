"""What every generator network has in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Literal

import torch
from torch import nn

from fedzda.base import ImageSpec

Emits = Literal["pixels", "normalised"]

_LARGEST_START = 16


class Generator(nn.Module, ABC):
    """Noise ``(N, z_size)``, and labels ``(N,)`` if ``conditional``, to images ``(N, C, H, W)``.

    ``forward`` gives what the head emits, and ``emits`` says what that is: ``pixels`` in [0, 1],
    or ``normalised`` ones, which a classifier takes as they are. A head that ends in BatchNorm has
    no bounds, so :meth:`pixels` may leave [0, 1] and has to be clamped for samples. Unless
    ``clamped`` is off, :meth:`seen` clamps too, so that training is on what sampling will give:
    without it a ResNet-8 on MNIST knew all images in training and a fifth of the samples.

    Args:
        image: The images to make.
        z_size: Dimensions of the noise.
        conditional: Whether ``forward`` needs labels.
        emits: What ``forward`` gives.
    """

    clamped = True
    """Whether :meth:`seen` keeps to pixels in [0, 1]; public code does not."""

    def __init__(self, image: ImageSpec, z_size: int, conditional: bool, emits: Emits) -> None:
        super().__init__()
        self.image, self.z_size = image, z_size
        self.conditional = conditional
        self.emits = emits

    def forward(self, z_ND: torch.Tensor, labels_N: torch.Tensor | None = None) -> torch.Tensor:
        """Images as the head emits them, cropped to size."""
        _, height, width = self.image.shape
        return self.draw(z_ND, labels_N)[:, :, :height, :width]

    @abstractmethod
    def draw(self, z_ND: torch.Tensor, labels_N: torch.Tensor | None) -> torch.Tensor:
        """Images at least as large as asked for."""

    def pixels(self, made_NCHW: torch.Tensor) -> torch.Tensor:
        """What ``forward`` gave as pixels, not clamped."""
        if self.emits == "pixels":
            return made_NCHW
        mean = made_NCHW.new_tensor(self.image.mean).view(1, -1, 1, 1)
        std = made_NCHW.new_tensor(self.image.std).view(1, -1, 1, 1)
        return made_NCHW * std + mean

    def seen(self, made_NCHW: torch.Tensor) -> torch.Tensor:
        """What ``forward`` gave as a classifier takes it."""
        if self.emits == "pixels":
            return self.image.normalize(made_NCHW)
        if not self.clamped:
            return made_NCHW
        return self.image.normalize(self.pixels(made_NCHW).clamp(0, 1))

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return next(self.parameters()).device


def doublings(image: ImageSpec, published: int, *, limited: bool = True) -> int:
    """How often a start map is doubled: as published, and more often for large images.

    Beyond 64 pixels a linear layer to a quarter of the size would hold nearly all weights, so the
    start map is kept at 16 pixels or below (our choice) unless ``limited`` is off.
    """
    times = published
    while limited and -(-max(image.shape[1:]) // 2**times) > _LARGEST_START:
        times += 1
    return times


def start_map(image: ImageSpec, channels: int, times: int) -> tuple[int, int, int]:
    """Channels, height and width of a map that reaches the image's size after ``times`` doublings.

    Sizes that are no multiple are rounded up; the image is cropped.
    """
    _, height, width = image.shape
    return channels, -(-height // 2**times), -(-width // 2**times)
