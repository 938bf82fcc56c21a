"""The Haar wavelet transform: four half-size maps per channel, orthonormal, exactly invertible.

Of every 2x2 pixels a, b / c, d: (a+b+c+d)/2, (-a-b+c+d)/2, (-a+b-c+d)/2, (a-b-c+d)/2. Maps come in
this order, all channels of the first one first.
"""

from __future__ import annotations

import torch
from torch.nn import functional

from fedzda.base import UserError

_SIGNS = ((1, 1, 1, 1), (-1, -1, 1, 1), (-1, 1, -1, 1), (1, -1, -1, 1))


def haar(x_NCHW: torch.Tensor) -> torch.Tensor:
    """``(N, C, H, W)`` to ``(N, 4 C, H / 2, W / 2)``.

    Raises:
        UserError: An odd height or width.
    """
    n, c, height, width = x_NCHW.shape
    if height % 2 or width % 2:
        raise UserError(
            f"images: the Haar transform needs an even height and width (got {height}x{width}). "
            "Crop or pad them."
        )
    quads = functional.pixel_unshuffle(x_NCHW, 2).view(n, c, 4, height // 2, width // 2)
    maps = torch.einsum("nckhw,bk->nbchw", quads, x_NCHW.new_tensor(_SIGNS) / 2)
    return maps.reshape(n, 4 * c, height // 2, width // 2)


def inverse_haar(maps_NCHW: torch.Tensor) -> torch.Tensor:
    """``(N, 4 C, H, W)`` to ``(N, C, 2 H, 2 W)``; undoes :func:`haar`."""
    n, channels, height, width = maps_NCHW.shape
    maps = maps_NCHW.view(n, 4, channels // 4, height, width)
    quads = torch.einsum("nbchw,bk->nckhw", maps, maps_NCHW.new_tensor(_SIGNS) / 2)
    return functional.pixel_shuffle(quads.reshape(n, channels, height, width), 2)
