"""Generators of nearest-neighbour upsampling and 3x3 convolutions, as public code has them.

``dafl32``: DAFL (Chen et al. 2019, arXiv 1904.01186). ``wide32``: an unofficial reproduction of
Choi et al. 2020 (arXiv 2005.04136). ``large``: CMI (Fang et al. 2021, arXiv 2105.08584).
``cond-mul`` and ``cond-bn``: GDFQ (Xu et al. 2020, arXiv 2003.03603), for CIFAR and ImageNet.

A head of Tanh and BatchNorm without scale emits normalised pixels, a sigmoid emits [0, 1].
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

from fedzda.base import ImageSpec
from fedzda.generators.networks.base import Emits, Generator, doublings, start_map

Labels = Literal["beside", "multiply", "norm"]


@dataclass(frozen=True)
class Family:
    """One published layout.

    Attributes:
        start: Channels of the start map.
        divisors: Channels after each doubling, as ``start`` divided by these.
        labels: Where a label enters: an embedding beside the noise, one that is multiplied with
            it, or the scale and shift of every BatchNorm.
        emits: ``normalised`` for a Tanh and BatchNorm head, ``pixels`` for a sigmoid.
        eps: Of the BatchNorm after each convolution (0.8 is no misprint: public code passes the
            number in the place of eps).
        slope: Of the leaky ReLU; 0 for a ReLU.
        start_norm: Whether BatchNorm follows the linear layer.
        limited: Whether large images get more doublings than published.
    """

    start: int
    divisors: tuple[int, ...]
    labels: Labels = "beside"
    emits: Emits = "normalised"
    eps: float = 1e-5
    slope: float = 0.2
    start_norm: bool = True
    limited: bool = True


FAMILIES = {
    "dafl32": Family(128, (1, 2), eps=0.8),
    "wide32": Family(512, (2, 4, 8), slope=0.0, start_norm=False),
    "large": Family(256, (2, 4), emits="pixels"),
    "cond-mul": Family(128, (1, 2), labels="multiply", eps=0.8),
    "cond-bn": Family(128, (1, 2), labels="norm", eps=0.8, limited=False),
}


class Norm(nn.Module):
    """BatchNorm; with ``classes``, scale and shift belong to the label."""

    def __init__(self, channels: int, eps: float, classes: int | None) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, eps, affine=classes is None)
        self.scale_and_shift: nn.Embedding | None = None
        if classes is not None:
            self.scale_and_shift = nn.Embedding(classes, 2 * channels)
            with torch.no_grad():
                self.scale_and_shift.weight[:, :channels] = 1.0
                self.scale_and_shift.weight[:, channels:] = 0.0

    def forward(self, x_NCHW: torch.Tensor, labels_N: torch.Tensor | None) -> torch.Tensor:
        """Normalise ``(N, C, H, W)``."""
        x_NCHW = self.norm(x_NCHW)
        if self.scale_and_shift is None:
            return x_NCHW
        scale, shift = self.scale_and_shift(labels_N)[:, :, None, None].chunk(2, dim=1)
        out: torch.Tensor = x_NCHW * scale + shift
        return out


class UpsamplingGenerator(Generator):
    """Noise, a linear layer to the start map, doublings, a convolution to colours, the head.

    Args:
        family: The layout.
        image: Shape of the images and number of classes.
        z_size: Dimensions of the noise.
        embedding_size: Dimensions of the label embedding where it stands beside the noise.
        channels: Channels of the start map; None: the family's.
        conditional: Whether ``forward`` takes labels.
    """

    def __init__(
        self,
        family: Family,
        image: ImageSpec,
        z_size: int,
        embedding_size: int,
        channels: int | None = None,
        *,
        conditional: bool = True,
    ) -> None:
        super().__init__(image, z_size, conditional, family.emits)
        self.family = family
        wide = channels or family.start
        times = doublings(image, len(family.divisors), limited=family.limited)
        self.start_shape = start_map(image, wide, times)
        beside = conditional and family.labels == "beside"
        self.embedding: nn.Embedding | None = None
        if conditional and family.labels != "norm":
            self.embedding = nn.Embedding(image.num_classes, embedding_size if beside else z_size)
        start_size = wide * self.start_shape[1] * self.start_shape[2]
        self.start = nn.Linear(z_size + beside * embedding_size, start_size)
        classes = image.num_classes if family.labels == "norm" else None
        self.start_norm = Norm(wide, 1e-5, classes) if family.start_norm else None
        extra = times - len(family.divisors)
        widths = [wide] * extra + [max(1, wide // divisor) for divisor in family.divisors]
        befores = [wide, *widths[:-1]]
        self.convolutions = nn.ModuleList(
            nn.Conv2d(before, after, 3, padding=1)
            for before, after in zip(befores, widths, strict=True)
        )
        self.norms = nn.ModuleList(Norm(width, family.eps, classes) for width in widths)
        self.colours = nn.Conv2d(widths[-1], image.shape[0], 3, padding=1)
        self.head: nn.Module = nn.Sigmoid()
        if family.emits == "normalised":
            self.head = nn.Sequential(nn.Tanh(), nn.BatchNorm2d(image.shape[0], affine=False))

    def draw(self, z_ND: torch.Tensor, labels_N: torch.Tensor | None) -> torch.Tensor:
        """See :meth:`Generator.draw`."""
        x_NCHW = self.start(self._input(z_ND, labels_N)).view(-1, *self.start_shape)
        if self.start_norm is not None:
            x_NCHW = self.start_norm(x_NCHW, labels_N)
        for convolution, norm in zip(self.convolutions, self.norms, strict=True):
            x_NCHW = nn.functional.interpolate(x_NCHW, scale_factor=2)
            x_NCHW = norm(convolution(x_NCHW), labels_N)
            x_NCHW = nn.functional.leaky_relu(x_NCHW, self.family.slope)
        made: torch.Tensor = self.head(self.colours(x_NCHW))
        return made

    def _input(self, z_ND: torch.Tensor, labels_N: torch.Tensor | None) -> torch.Tensor:
        if self.embedding is None:
            return z_ND
        embedded: torch.Tensor = self.embedding(labels_N)
        if self.family.labels == "multiply":
            return z_ND * embedded
        return torch.cat([z_ND, embedded], dim=1)
