"""Peak signal-to-noise ratio of pixels in [0, 1].

The mean of the images' PSNR is another number than the PSNR of the mean squared error, and larger
or equal; sums of both add up over clients.
"""

from __future__ import annotations

import torch

from fedzda.vision.metrics.pairs import paired


def mean_squared_error(
    images_NCHW: torch.Tensor, truth_NCHW: torch.Tensor, border: int = 0
) -> torch.Tensor:
    """Mean squared difference of every image, float64 ``(N,)``.

    Args:
        images_NCHW: Restored images.
        truth_NCHW: Their truth.
        border: Pixels left out on every side; super-resolution leaves out its scale.

    Raises:
        UserError: The shapes differ, nothing is left inside the border, or pixels are integers or
            far outside of [0, 1].
    """
    images, truth = paired(images_NCHW, truth_NCHW, border)
    return (images - truth).square().mean(dim=(1, 2, 3))


def psnr(images_NCHW: torch.Tensor, truth_NCHW: torch.Tensor, border: int = 0) -> torch.Tensor:
    """``10 log10(1 / MSE)`` in dB of every image, float64 ``(N,)``; infinite for equal images.

    Arguments and errors as in :func:`mean_squared_error`. Nothing is clipped or rounded here.
    """
    return -10 * torch.log10(mean_squared_error(images_NCHW, truth_NCHW, border))
