"""What restoration networks have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Self

import torch
from torch import nn

from fedzda.base import ImageSpec, StrictConfig


class RestorationModel(nn.Module, ABC):
    """A network from images to better images.

    Attributes:
        multiple: Height and width of images have to be multiples of it.
        scale: Factor of the result's height and width over the image's.
    """

    Config: ClassVar[type[StrictConfig]]
    multiple: int = 1
    scale: int = 1

    @abstractmethod
    def __init__(self, config: StrictConfig, channels: int) -> None:
        super().__init__()

    @classmethod
    def build(cls, config: StrictConfig, image: ImageSpec) -> Self:
        """The network of a configuration block for the images of a data set."""
        return cls(config, image.shape[0])

    @abstractmethod
    def forward(self, x_NCHW: torch.Tensor) -> torch.Tensor:
        """Restored images ``(N, C, scale H, scale W)``, not clipped."""
