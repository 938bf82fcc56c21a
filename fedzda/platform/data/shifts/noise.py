"""Gaussian noise of a strength per client (Li et al. 2022, ICDE, section IV-B: client i of n gets
the share i / n of the largest strength).

The noise belongs to the image, as that of a sensor in a photograph does: it is the same in every
epoch and every batch. So it is looked up, not drawn: each image has its window in one long table of
normal numbers.
"""

from __future__ import annotations

import math
from functools import cached_property

import numpy as np
import torch

from fedzda.base import ImageSpec, numpy_rng
from fedzda.platform.data.shifts.config import NoiseConfig

_TABLE = 2**20
"""Windows to choose from; as many images have one each before the first is used again."""


class Noise:
    """Adds noise and cuts at black and white."""

    def __init__(self, config: NoiseConfig, num_units: int, image: ImageSpec, seed: int) -> None:
        self.seed = seed
        if isinstance(config.std, list):
            self.std = np.resize(np.asarray(config.std, dtype=np.float32), num_units)
        else:
            share = np.arange(1, num_units + 1) / num_units
            self.std = (config.std * share).astype(np.float32)
        self.shape = image.shape

    def apply(
        self, pixels_NCHW: torch.Tensor, unit_N: torch.Tensor, row_N: torch.Tensor
    ) -> torch.Tensor:
        """Every image with the noise of its own, as strong as its unit's."""
        rows = (row_N.cpu() * self._stride) % _TABLE
        windows = self._table.unfold(0, math.prod(self.shape), 1)[rows].view(pixels_NCHW.shape)
        strength = torch.from_numpy(self.std)[unit_N.cpu()].view(-1, 1, 1, 1)
        return (pixels_NCHW + (windows * strength).to(pixels_NCHW.device)).clamp_(0.0, 1.0)

    @cached_property
    def _stride(self) -> int:
        """An odd step: neighbouring rows are far apart, and none repeats before 2^20 of them."""
        return int(numpy_rng(self.seed, "shift-noise-stride").integers(_TABLE // 4, _TABLE)) | 1

    @cached_property
    def _table(self) -> torch.Tensor:
        length = _TABLE + math.prod(self.shape)
        rng = numpy_rng(self.seed, "shift-noise")
        return torch.from_numpy(rng.standard_normal(length, dtype=np.float32))

    def describe(self, unit: int) -> str:
        """The strength."""
        return f"noise of standard deviation {self.std[unit]:.3g}"
