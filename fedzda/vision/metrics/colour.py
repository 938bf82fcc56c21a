"""Grey values of colour images. All pixels in [0, 1], ``(N, C, H, W)``."""

from __future__ import annotations

import torch

from fedzda.base import UserError
from fedzda.vision.metrics.pairs import check_floating

_BT601 = (0.299, 0.587, 0.114)
_STUDIO = (65.481 / 255, 128.553 / 255, 24.966 / 255)
_STUDIO_BLACK = 16 / 255


def grey(images_NCHW: torch.Tensor) -> torch.Tensor:
    """BT.601 weights, ``(N, 1, H, W)`` from 0 (black) to 1 (white); grey images as they are.

    Raises:
        UserError: Neither 1 nor 3 channels, or integers.
    """
    return images_NCHW if _is_grey(images_NCHW) else _weighted(images_NCHW, _BT601)


def luma(images_NCHW: torch.Tensor) -> torch.Tensor:
    """Y of BT.601 in studio range, ``(N, 1, H, W)`` from 16/255 (black) to 235/255 (white).

    The Y on which super-resolution is measured. Grey images are taken as R = G = B.

    Raises:
        UserError: Neither 1 nor 3 channels, or integers.
    """
    if _is_grey(images_NCHW):
        return images_NCHW * sum(_STUDIO) + _STUDIO_BLACK
    return _weighted(images_NCHW, _STUDIO) + _STUDIO_BLACK


def _is_grey(images_NCHW: torch.Tensor) -> bool:
    check_floating(images_NCHW)
    channels = images_NCHW.shape[1]
    if channels not in (1, 3):
        raise UserError(
            f"images: a grey value needs 1 or 3 channels (got {channels}). Develop raw images "
            "first."
        )
    return channels == 1


def _weighted(images_NCHW: torch.Tensor, shares: tuple[float, ...]) -> torch.Tensor:
    return (images_NCHW * images_NCHW.new_tensor(shares).view(1, 3, 1, 1)).sum(1, keepdim=True)
