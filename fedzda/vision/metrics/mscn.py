"""Mean-subtracted, contrast-normalised pixels, which PIQE and NIQE start from."""

from __future__ import annotations

import torch
from torch.nn import functional

from fedzda.vision.metrics.pairs import filtered, gaussian_window

_SIDE, _SIGMA = 7, 7 / 6


def mscn(grey_N1HW: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Normalised pixels and the local standard deviation, both ``(N, 1, H, W)``.

    A Gaussian window of 7x7 with sigma 7/6, edges repeated, 1 added to the standard deviation.

    Args:
        grey_N1HW: Grey values from 0 to 255.
    """
    window, reach = gaussian_window(_SIDE, _SIGMA), _SIDE // 2
    padded = functional.pad(grey_N1HW, (reach,) * 4, mode="replicate")
    mean = filtered(padded, window)
    deviation = (filtered(padded**2, window) - mean**2).abs().sqrt()
    return (grey_N1HW - mean) / (deviation + 1), deviation
