"""Images turned by an angle per client (rotated MNIST: Ghosh et al. 2020, IFCA, section 6)."""

from __future__ import annotations

import numpy as np
import torch
from torch.nn import functional

from fedzda.base import ImageSpec, numpy_rng
from fedzda.platform.data.shifts.config import RotationConfig


class Rotation:
    """Bilinear rotation about the centre; multiples of 90 degrees of square images are exact up to
    rounding."""

    def __init__(self, config: RotationConfig, num_units: int, image: ImageSpec, seed: int) -> None:
        self.padding = config.padding
        if isinstance(config.degrees, list):
            angles = np.resize(np.asarray(config.degrees), num_units)
        else:
            draw = numpy_rng(seed, "shift-rotation").uniform(-1.0, 1.0, num_units)
            angles = config.degrees * draw
        self.degrees = angles

    def apply(
        self, pixels_NCHW: torch.Tensor, unit_N: torch.Tensor, row_N: torch.Tensor
    ) -> torch.Tensor:
        """Every image turned by the angle of its unit."""
        degrees = torch.from_numpy(self.degrees).to(pixels_NCHW.device)[unit_N]
        if not bool((degrees % 360 != 0).any()):
            return pixels_NCHW
        angle = torch.deg2rad(degrees)
        cos, sin, zero = angle.cos(), angle.sin(), torch.zeros_like(angle)
        height, width = pixels_NCHW.shape[-2:]
        # Where each output pixel comes from, both axes scaled to [-1, 1] and y pointing down.
        matrix = torch.stack(
            [
                torch.stack([cos, -sin * height / width, zero], dim=1),
                torch.stack([sin * width / height, cos, zero], dim=1),
            ],
            dim=1,
        ).to(pixels_NCHW.dtype)
        grid = functional.affine_grid(matrix, list(pixels_NCHW.shape), align_corners=False)
        turned = functional.grid_sample(
            pixels_NCHW, grid, mode="bilinear", padding_mode=self.padding, align_corners=False
        )
        return turned.clamp_(0.0, 1.0)

    def describe(self, unit: int) -> str:
        """The angle."""
        angle = self.degrees[unit]
        return f"turned by {angle:.4g}°" if angle else "not turned"
