"""What several restoration networks are made of.

N images, C channels, H height, W width.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional


def conv3(before: int, after: int, dilation: int = 1, stride: int = 1) -> nn.Conv2d:
    """3x3 convolution with bias that keeps the size (at stride 1)."""
    return nn.Conv2d(before, after, 3, stride, padding=dilation, dilation=dilation)


def with_map(channels: int, noise_map: bool) -> int:
    """Channels that come in: those of the image, twice with a noise level map."""
    return 2 * channels if noise_map else channels


def padded(x_NCHW: torch.Tensor, multiple: int) -> torch.Tensor:
    """Edges repeated at the bottom and on the right, up to multiples of ``multiple`` pixels."""
    height, width = x_NCHW.shape[2:]
    below, right = -height % multiple, -width % multiple
    if not (below or right):
        return x_NCHW
    return functional.pad(x_NCHW, (0, right, 0, below), mode="replicate")


class Pool(nn.Module):
    """Mean over the map, or in evaluation over a window around every pixel (TLC).

    Args:
        window: Side of the window in pixels of this map; 0: the whole map. At the border the
            window is moved inside, as in TLC (Chu et al. 2022, arXiv 2112.04491).
    """

    def __init__(self, window: int = 0) -> None:
        super().__init__()
        self.window = window

    def forward(self, x_NCHW: torch.Tensor) -> torch.Tensor:
        """``(N, C, 1, 1)``, or ``(N, C, H, W)`` of local means."""
        height, width = x_NCHW.shape[2:]
        tall, wide = min(self.window, height), min(self.window, width)
        if self.training or not self.window or (tall, wide) == (height, width):
            return x_NCHW.mean(dim=(2, 3), keepdim=True)
        mean = functional.avg_pool2d(x_NCHW, (tall, 1), stride=1)
        mean = functional.avg_pool2d(mean, (1, wide), stride=1)
        top, left = (tall - 1) // 2, (wide - 1) // 2
        edges = (left, wide - 1 - left, top, tall - 1 - top)
        return functional.pad(mean, edges, mode="replicate")


def pool(pool_window: int, shrunk: int) -> Pool:
    """The pool of a map ``shrunk`` times smaller than the image ``pool_window`` is given for."""
    return Pool(max(pool_window // shrunk, 1) if pool_window else 0)
