"""Structural similarity (Wang, Bovik, Sheikh, Simoncelli 2004), pixels in [0, 1].

Gaussian window of 11x11 with sigma 1.5, K1 = 0.01, K2 = 0.03, population covariance, only where the
window fits into the image. scikit-image gives the same with ``gaussian_weights=True, sigma=1.5,
use_sample_covariance=False, data_range=1``.
"""

from __future__ import annotations

import torch

from fedzda.vision.metrics.pairs import filtered, gaussian_window, paired

_SIDE, _SIGMA = 11, 1.5
_C1, _C2 = 0.01**2, 0.03**2


def ssim(images_NCHW: torch.Tensor, truth_NCHW: torch.Tensor, border: int = 0) -> torch.Tensor:
    """Mean similarity of every image over pixels and channels, float64 ``(N,)``, at most 1.

    Args:
        images_NCHW: Restored images.
        truth_NCHW: Their truth.
        border: Pixels left out on every side before anything is computed.

    Raises:
        UserError: The shapes differ, less than 11 pixels are left on a side, or pixels are integers
            or far outside of [0, 1].
    """
    x, y = paired(images_NCHW, truth_NCHW, border, smallest=_SIDE)
    window = gaussian_window(_SIDE, _SIGMA)
    mean_x, mean_y = filtered(x, window), filtered(y, window)
    var_x = filtered(x * x, window) - mean_x**2
    var_y = filtered(y * y, window) - mean_y**2
    covariance = filtered(x * y, window) - mean_x * mean_y
    means = (2 * mean_x * mean_y + _C1) / (mean_x**2 + mean_y**2 + _C1)
    spreads = (2 * covariance + _C2) / (var_x + var_y + _C2)
    return (means * spreads).mean(dim=(1, 2, 3))
