"""The multi-rate residual dense block (Bao et al., CVPRW 2020; US 11508037 B2).

Confirmed: a residual dense block beside a dilated pyramid whose output is fused with the block's
map. Order, widths and activations are our reconstruction. N images, C channels, H height, W width.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from fedzda.vision.restoration.config import MRDBConfig
from fedzda.vision.restoration.layers import conv3, pool


class Pyramid(nn.Module):
    """1x1, dilated 3x3 and global branches of equal width, joined by a 1x1 convolution."""

    def __init__(self, before: int, after: int, rates: list[int], window: int, shrunk: int) -> None:
        super().__init__()
        self.point = nn.Conv2d(before, after, 1)
        self.dilated = nn.ModuleList(conv3(before, after, rate) for rate in rates)
        self.pool = pool(window, shrunk)
        self.whole = nn.Conv2d(before, after, 1)
        self.join = nn.Conv2d(after * (len(rates) + 2), after, 1)

    def forward(self, x_NCHW: torch.Tensor) -> torch.Tensor:
        """``(N, before, H, W)`` to ``(N, after, H, W)``."""
        whole = functional.relu(self.whole(self.pool(x_NCHW)))
        maps = [functional.relu(branch(x_NCHW)) for branch in (self.point, *self.dilated)]
        joined: torch.Tensor = self.join(torch.cat([*maps, whole.expand_as(maps[0])], dim=1))
        return joined


class MRDB(nn.Module):
    """Dense convolutions and the pyramid side by side, fused and added to the input.

    Args:
        channels: Channels in and out.
        config: Growth, number of dense convolutions, pyramid.
        shrunk: How many times the map is smaller than the image.
    """

    def __init__(self, channels: int, config: MRDBConfig, shrunk: int = 1) -> None:
        super().__init__()
        growth, context = config.growth, config.context_channels
        self.dense = nn.ModuleList(
            conv3(channels + place * growth, growth) for place in range(config.layers)
        )
        if context:
            self.pyramid = Pyramid(channels, context, config.rates, config.pool_window, shrunk)
        self.context = context > 0
        self.fusion = nn.Conv2d(channels + config.layers * growth + context, channels, 1)

    def forward(self, x_NCHW: torch.Tensor) -> torch.Tensor:
        """``(N, channels, H, W)`` to the same shape."""
        maps = [x_NCHW]
        for layer in self.dense:
            maps.append(functional.relu(layer(torch.cat(maps, dim=1))))
        if self.context:
            maps.append(self.pyramid(x_NCHW))
        fused: torch.Tensor = self.fusion(torch.cat(maps, dim=1))
        return x_NCHW + fused
