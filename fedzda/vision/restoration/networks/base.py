"""What restoration networks have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from functools import partial
from typing import ClassVar, Self

import torch
from torch import nn

from fedzda.base import ImageSpec, StrictConfig, UserError
from fedzda.vision.restoration.config import DenoiserConfig


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
        if isinstance(config, DenoiserConfig) and config.noise_map:
            # a hook, since a comparison in ``forward`` could not be traced
            self.register_forward_pre_hook(partial(_check_map, channels=channels))

    @classmethod
    def build(cls, config: StrictConfig, image: ImageSpec) -> Self:
        """The network of a configuration block for the images of a data set."""
        return cls(config, image.shape[0])

    @abstractmethod
    def forward(self, x_NCHW: torch.Tensor) -> torch.Tensor:
        """Restored images ``(N, C, scale H, scale W)``, not clipped."""


def _check_map(model: nn.Module, given: tuple[torch.Tensor, ...], channels: int) -> None:
    """Raise UserError for images without their noise map; a network around this one is traced with
    something else than tensors."""
    if not given or not isinstance(given[0], torch.Tensor):
        return
    found = given[0].shape[1]
    if found != 2 * channels:
        raise UserError(
            f"model {type(model).__name__} with noise_map takes {2 * channels} channels, those of "
            f"the image and of its noise map (got {found}). Give it both, as task denoising with "
            "noise_map does, or set model.noise_map to false."
        )
