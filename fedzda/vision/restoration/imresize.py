"""Resizing of images as MATLAB's ``imresize`` does it, which super-resolution is measured with.

The cubic of Keys (1981) with a = -1/2; for shrinking it is stretched by the inverse of the scale,
so that it is a low-pass filter; borders are mirrored. ``torch.nn.functional.interpolate`` differs:
without antialiasing its cubic has a = -3/4, with it borders are renormalised, not mirrored.

N images, C channels, H height, W width.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch

from fedzda.vision.metrics.pairs import check_floating


def imresize(images_NCHW: torch.Tensor, scale: float, antialias: bool = True) -> torch.Tensor:
    """Images of ``ceil(scale * size)`` pixels, not clipped: the cubic overshoots at edges.

    Args:
        images_NCHW: Floating point, any range.
        scale: Factor on both sides, above 0.
        antialias: Stretch the kernel for shrinking; without it every old pixel but four is ignored.

    Raises:
        UserError: The images are not floating point.
    """
    check_floating(images_NCHW)
    rows = weights(images_NCHW.shape[2], scale, antialias).to(images_NCHW)
    columns = weights(images_NCHW.shape[3], scale, antialias).to(images_NCHW)
    return rows @ images_NCHW @ columns.T


@lru_cache(maxsize=64)
def weights(before: int, scale: float, antialias: bool) -> torch.Tensor:
    """Float64 ``(ceil(scale * before), before)``: shares of the old pixels in every new one."""
    after = math.ceil(scale * before)
    stretch = min(scale, 1.0) if antialias else 1.0
    reach = 4 / stretch
    place = torch.arange(1, after + 1, dtype=torch.float64)
    centre = place / scale + 0.5 * (1 - 1 / scale)
    taps = torch.arange(math.ceil(reach) + 2, dtype=torch.float64)
    index = torch.floor(centre - reach / 2).unsqueeze(1) + taps
    share = stretch * _cubic(stretch * (centre.unsqueeze(1) - index))
    share = share / share.sum(dim=1, keepdim=True)
    position = (index.long() - 1) % (2 * before)
    mirrored = torch.minimum(position, 2 * before - 1 - position)
    return torch.zeros(after, before, dtype=torch.float64).scatter_add_(1, mirrored, share)


def _cubic(distance: torch.Tensor) -> torch.Tensor:
    """Keys' interpolation kernel with a = -1/2."""
    x = distance.abs()
    near = 1.5 * x**3 - 2.5 * x**2 + 1
    far = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return torch.where(x <= 1, near, torch.where(x <= 2, far, 0.0))


def rounded(images_NCHW: torch.Tensor) -> torch.Tensor:
    """Pixels in [0, 1] as a file of 8 bits keeps them: clipped, in steps of 1/255."""
    return (images_NCHW.clamp(0, 1) * 255).round() / 255
