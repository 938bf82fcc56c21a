"""Filters without training that a denoiser has to beat: Gaussian and bilateral.

N images, C channels, H height, W width; edges are repeated.
"""

from __future__ import annotations

import math

import torch
from torch.nn import functional

from fedzda.vision.metrics.pairs import filtered, gaussian_window


def gaussian_filter(images_NCHW: torch.Tensor, sigma: float) -> torch.Tensor:
    """Every channel blurred by a Gaussian of ``sigma`` pixels, cut off at three of them."""
    reach = math.ceil(3 * sigma)
    edges = functional.pad(images_NCHW, (reach,) * 4, mode="replicate")
    return filtered(edges, gaussian_window(2 * reach + 1, sigma))


def bilateral_filter(
    images_NCHW: torch.Tensor, sigma_space: float, sigma_colour: float
) -> torch.Tensor:
    """The mean of the neighbours, near ones and ones of like colour first (Tomasi & Manduchi 1998).

    Args:
        images_NCHW: Noisy images.
        sigma_space: Pixels at which the weight of distance has fallen to ``exp(-1/2)``; neighbours
            up to twice as far count.
        sigma_colour: The same for the Euclidean distance of colours, in the images' unit.
    """
    reach = math.ceil(2 * sigma_space)
    height, width = images_NCHW.shape[2:]
    edges = functional.pad(images_NCHW, (reach,) * 4, mode="replicate")
    total, weights = torch.zeros_like(images_NCHW), torch.zeros_like(images_NCHW[:, :1])
    for top in range(2 * reach + 1):
        for left in range(2 * reach + 1):
            other = edges[:, :, top : top + height, left : left + width]
            far = ((top - reach) ** 2 + (left - reach) ** 2) / sigma_space**2
            unlike = (other - images_NCHW).square().sum(dim=1, keepdim=True) / sigma_colour**2
            weight = torch.exp(-0.5 * (far + unlike))
            total += weight * other
            weights += weight
    return total / weights
