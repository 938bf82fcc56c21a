"""A factor on every colour channel per client, as cameras and lamps differ in white and brightness.

Our choice of a colour shift: the corruption studies (Hendrycks and Dietterich 2019) change
brightness alone, which is what remains of this on grey images.
"""

from __future__ import annotations

import numpy as np
import torch

from fedzda.base import ImageSpec, numpy_rng
from fedzda.platform.data.shifts.config import ColourConfig


class Colour:
    """Multiplies channels and cuts at white."""

    def __init__(self, config: ColourConfig, num_units: int, image: ImageSpec, seed: int) -> None:
        reach = np.log1p(config.strength)
        draw = numpy_rng(seed, "shift-colour").uniform(-reach, reach, (num_units, image.shape[0]))
        self.gain = np.exp(draw).astype(np.float32)

    def apply(
        self, pixels_NCHW: torch.Tensor, unit_N: torch.Tensor, row_N: torch.Tensor
    ) -> torch.Tensor:
        """Every image under the light of its unit."""
        gain = torch.from_numpy(self.gain).to(pixels_NCHW.device)[unit_N]
        return (pixels_NCHW * gain[:, :, None, None]).clamp_(0.0, 1.0)

    def describe(self, unit: int) -> str:
        """The factors."""
        factors = ", ".join(f"{g:.2f}" for g in self.gain[unit])
        return f"brightness times {factors}"
