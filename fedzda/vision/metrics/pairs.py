"""What metrics of an image against its truth share: checks, crops, windows."""

from __future__ import annotations

import torch
from torch.nn import functional

from fedzda.base import UserError

OVERSHOOT = 3.0
"""How far pixels may lie outside of [0, 1]. Restored images overshoot, and unclipped noise of a
standard deviation of 100/255 stays within; images from 0 to 255 do not."""


def check_floating(images: torch.Tensor) -> None:
    """Refuse integers, which weights and windows would be rounded to.

    Raises:
        UserError: The images are not floating point.
    """
    if not images.is_floating_point():
        raise UserError(
            f"images must be floating point in [0, 1] (got {images.dtype}). Divide by 255."
        )


def check_pixels(images: torch.Tensor) -> None:
    """Refuse integers and pixels far outside of [0, 1]; NaN is let through.

    Raises:
        UserError: The images are not floating point, or reach beyond [0, 1] by more than
            ``OVERSHOOT``.
    """
    check_floating(images)
    if not images.numel():
        return
    low, high = (float(end) for end in images.detach().aminmax())
    if low < -OVERSHOOT or high > 1 + OVERSHOOT:
        raise UserError(
            f"images must be floating point in [0, 1] (got {low:g} to {high:g}). Divide by the "
            "value of white, 255 for images of 8 bits."
        )


def paired(
    images_NCHW: torch.Tensor, truth_NCHW: torch.Tensor, border: int = 0, smallest: int = 1
) -> tuple[torch.Tensor, torch.Tensor]:
    """Both as float64, without ``border`` pixels on every side.

    Raises:
        UserError: The shapes differ, less than ``smallest`` pixels are left on a side, or the
            pixels are integers or far outside of [0, 1] (:func:`check_pixels`).
    """
    if images_NCHW.shape != truth_NCHW.shape or images_NCHW.dim() != 4:
        raise UserError(
            f"images: they and their truth need one shape (N, C, H, W) (got "
            f"{tuple(images_NCHW.shape)} and {tuple(truth_NCHW.shape)}). Crop both alike."
        )
    height, width = images_NCHW.shape[2:]
    if min(height, width) - 2 * border < smallest:
        raise UserError(
            f"images: this metric needs {smallest} pixels on each side inside a border of {border} "
            f"(got {height}x{width}). Use larger images or a smaller border."
        )
    check_pixels(images_NCHW)
    check_pixels(truth_NCHW)
    inner = (
        slice(None),
        slice(None),
        slice(border, height - border),
        slice(border, width - border),
    )
    return images_NCHW[inner].double(), truth_NCHW[inner].double()


def gaussian_window(side: int, sigma: float) -> torch.Tensor:
    """Float64 ``(side,)`` samples of a Gaussian, sum 1."""
    distance = torch.arange(side, dtype=torch.float64) - (side - 1) / 2
    window = torch.exp(-(distance**2) / (2 * sigma**2))
    return window / window.sum()


def filtered(images_NCHW: torch.Tensor, window: torch.Tensor) -> torch.Tensor:
    """Every channel filtered along both axes, only where the window fits into the image."""
    n, c, height, width = images_NCHW.shape
    side = len(window)
    window = window.to(images_NCHW)
    flat = images_NCHW.reshape(n * c, 1, height, width)
    flat = functional.conv2d(flat, window.view(1, 1, side, 1))
    flat = functional.conv2d(flat, window.view(1, 1, 1, side))
    return flat.view(n, c, height - side + 1, width - side + 1)


def halved(images_NCHW: torch.Tensor) -> torch.Tensor:
    """Mean of 2x2 pixels, every second row and column; outside the image lies 0."""
    height, width = images_NCHW.shape[2:]
    padded = functional.pad(images_NCHW, (0, width % 2, 0, height % 2))
    return functional.avg_pool2d(padded, 2)
