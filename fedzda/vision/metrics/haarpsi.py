"""Haar wavelet-based perceptual similarity index (Reisenhofer, Bosse, Kutyniok, Wiegand 2018,
arXiv 1607.06140), with the paper's C = 30 and alpha = 4.2."""

from __future__ import annotations

import torch
from torch.nn import functional

from fedzda.vision.metrics.colour import grey
from fedzda.vision.metrics.pairs import halved, paired

_C, _ALPHA = 30.0, 4.2
_I = (0.596, -0.274, -0.322)
_Q = (0.211, -0.523, 0.312)


def haarpsi(images_NCHW: torch.Tensor, truth_NCHW: torch.Tensor) -> torch.Tensor:
    """Similarity of every image, float64 ``(N,)`` in [0, 1]; 1 is equal.

    Pixels in [0, 1]; colours count by the I and Q of YIQ. Two constant images, which have no
    wavelet coefficients inside, are as similar as their borders; two black ones are equal.

    Raises:
        UserError: The shapes differ, an image is below 16 pixels or has neither 1 nor 3 channels,
            or pixels are integers or far outside of [0, 1].
    """
    pair = [255 * side for side in paired(images_NCHW, truth_NCHW, smallest=16)]
    x, y = (halved(grey(side)) for side in pair)
    similar, weight = [], []
    for axis in (2, 3):
        scales = [(_haar(x, level, axis), _haar(y, level, axis)) for level in (1, 2, 3)]
        similar.append((_similarity(*scales[0]) + _similarity(*scales[1])) / 2)
        weight.append(torch.maximum(*scales[2]))
    if images_NCHW.shape[1] == 3:
        chroma = [[_mean(halved(_mixed(side, mix))) for side in pair] for mix in (_I, _Q)]
        similar.append((_similarity(*chroma[0]) + _similarity(*chroma[1])) / 2)
        weight.append((weight[0] + weight[1]) / 2)
    similarity, weights = torch.cat(similar, dim=1), torch.cat(weight, dim=1)
    pooled = (torch.sigmoid(_ALPHA * similarity) * weights).sum(dim=(1, 2, 3))
    total = weights.sum(dim=(1, 2, 3))
    # Nothing has a weight where both images are black, which are equal.
    equal = torch.sigmoid(torch.full_like(total, _ALPHA))
    pooled = torch.where(total > 0, pooled / torch.where(total > 0, total, 1.0), equal)
    return (torch.logit(pooled) / _ALPHA).square()


def _similarity(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return (2 * x * y + _C) / (x**2 + y**2 + _C)


def _mixed(images_N3HW: torch.Tensor, shares: tuple[float, ...]) -> torch.Tensor:
    return (images_N3HW * images_N3HW.new_tensor(shares).view(1, 3, 1, 1)).sum(1, keepdim=True)


def _haar(images_N1HW: torch.Tensor, level: int, axis: int) -> torch.Tensor:
    """Absolute coefficients of one level, at every pixel; ``axis`` is the one of the step."""
    side = 2**level
    kernel = images_N1HW.new_full((side, side), 2.0**-level)
    kernel[: side // 2] *= -1
    return _convolved(images_N1HW, kernel if axis == 2 else kernel.T).abs()


def _mean(images_N1HW: torch.Tensor) -> torch.Tensor:
    return _convolved(images_N1HW, images_N1HW.new_full((2, 2), 0.25)).abs()


def _convolved(images_N1HW: torch.Tensor, kernel: torch.Tensor) -> torch.Tensor:
    """Same size, zeros outside; an even kernel reaches one pixel further down and to the right."""
    half = len(kernel) // 2
    padded = functional.pad(images_N1HW, (half - 1, half, half - 1, half))
    return functional.conv2d(padded, kernel.view(1, 1, *kernel.shape))
