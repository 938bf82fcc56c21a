"""Gradient magnitude similarity deviation (Xue, Zhang, Mou, Bovik 2014, arXiv 1308.3052)."""

from __future__ import annotations

import torch
from torch.nn import functional

from fedzda.vision.metrics.colour import grey
from fedzda.vision.metrics.pairs import halved, paired

_T = 170 / 255**2
"""The paper's constant, for pixels in [0, 1]."""


def gmsd(images_NCHW: torch.Tensor, truth_NCHW: torch.Tensor) -> torch.Tensor:
    """Deviation of every image, float64 ``(N,)``: 0 is equal, larger is worse.

    Prewitt gradients of the grey image at half size; the standard deviation (of a sample, as in the
    authors' code) of the similarity of their lengths. Pixels in [0, 1]; differentiable where the
    images differ.

    Raises:
        UserError: The shapes differ, an image is below 4 pixels or has neither 1 nor 3 channels,
            or pixels are integers or far outside of [0, 1].
    """
    images, truth = paired(images_NCHW, truth_NCHW, smallest=4)
    x, y = _gradient(halved(grey(images))), _gradient(halved(grey(truth)))
    similarity = (2 * x * y + _T) / (x**2 + y**2 + _T)
    return similarity.flatten(1).std(dim=1)


def _gradient(images_N1HW: torch.Tensor) -> torch.Tensor:
    """Length of the Prewitt gradient; outside the image lies 0."""
    kernel = images_N1HW.new_tensor([[1.0, 0.0, -1.0]] * 3) / 3
    both = torch.stack([kernel, kernel.T]).unsqueeze(1)
    square = functional.conv2d(images_N1HW, both, padding=1).square().sum(1, keepdim=True)
    # The root has no derivative at 0, which flat regions reach.
    return torch.sqrt(square + torch.finfo(square.dtype).tiny)
