"""NAFNet (Chen, Chu, Zhang, Sun 2022, arXiv 2204.04676): no activation but products of halves.

N images, C channels, H height, W width.
"""

from __future__ import annotations

import torch
from torch import nn

from fedzda.base import StrictConfig
from fedzda.vision.restoration.config import NAFNetConfig
from fedzda.vision.restoration.layers import conv3, padded, pool, with_map
from fedzda.vision.restoration.networks.base import RestorationModel


class ChannelNorm(nn.Module):
    """Layer norm over the channels of every pixel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels, 1, 1))
        self.bias = nn.Parameter(torch.zeros(channels, 1, 1))

    def forward(self, x_NCHW: torch.Tensor) -> torch.Tensor:
        """``(N, C, H, W)`` to the same shape."""
        variance, mean = torch.var_mean(x_NCHW, dim=1, keepdim=True, correction=0)
        return (x_NCHW - mean) * torch.rsqrt(variance + 1e-6) * self.weight + self.bias


def _gated(x_NCHW: torch.Tensor) -> torch.Tensor:
    first, second = x_NCHW.chunk(2, dim=1)
    return first * second


class NAFBlock(nn.Module):
    """Spatial mixing with channel attention, then mixing of channels; both start at zero.

    Args:
        channels: C.
        window: Window of the attention's pool in pixels of the image, 0: all.
        shrunk: How many times the map is smaller than the image.
    """

    def __init__(self, channels: int, window: int, shrunk: int) -> None:
        super().__init__()
        twice = 2 * channels
        self.norm1 = ChannelNorm(channels)
        self.spread = nn.Sequential(
            nn.Conv2d(channels, twice, 1),
            nn.Conv2d(twice, twice, 3, padding=1, groups=twice),
        )
        self.pool = pool(window, shrunk)
        self.attention = nn.Conv2d(channels, channels, 1)
        self.project = nn.Conv2d(channels, channels, 1)
        self.norm2 = ChannelNorm(channels)
        self.expand = nn.Conv2d(channels, twice, 1)
        self.contract = nn.Conv2d(channels, channels, 1)
        self.beta = nn.Parameter(torch.zeros(channels, 1, 1))
        self.gamma = nn.Parameter(torch.zeros(channels, 1, 1))

    def forward(self, x_NCHW: torch.Tensor) -> torch.Tensor:
        """``(N, C, H, W)`` to the same shape."""
        h = _gated(self.spread(self.norm1(x_NCHW)))
        y = x_NCHW + self.beta * self.project(h * self.attention(self.pool(h)))
        mixed: torch.Tensor = y + self.gamma * self.contract(_gated(self.expand(self.norm2(y))))
        return mixed


class NAFNet(RestorationModel):
    """U-Net of NAF blocks with additive skips.

    Args:
        config: Width and blocks per scale.
        channels: C of the images.
    """

    Config = NAFNetConfig

    def __init__(self, config: StrictConfig, channels: int) -> None:
        super().__init__(config, channels)
        assert isinstance(config, NAFNetConfig)
        self.channels, width, levels = channels, config.channels, len(config.encoder)
        self.needs = 1 << levels

        def chain(level: int, blocks: int) -> nn.Sequential:
            made = [NAFBlock(width << level, config.pool_window, 1 << level) for _ in range(blocks)]
            return nn.Sequential(*made)

        widths = [width << level for level in range(levels)]
        self.head = conv3(with_map(channels, config.noise_map), width)
        self.encoder = nn.ModuleList(chain(level, n) for level, n in enumerate(config.encoder))
        self.down = nn.ModuleList(nn.Conv2d(w, 2 * w, 2, stride=2) for w in widths)
        self.middle = chain(levels, config.middle)
        self.up = nn.ModuleList(
            nn.Sequential(nn.Conv2d(2 * w, 4 * w, 1, bias=False), nn.PixelShuffle(2))
            for w in reversed(widths)
        )
        self.decoder = nn.ModuleList(
            chain(levels - 1 - place, n) for place, n in enumerate(config.decoder)
        )
        self.tail = conv3(width, channels)

    def forward(self, x_NCHW: torch.Tensor) -> torch.Tensor:
        """See :class:`RestorationModel`; other sizes than multiples of 2^scales are padded."""
        height, width = x_NCHW.shape[2:]
        x = padded(x_NCHW, self.needs)
        h, skips = self.head(x), []
        for encode, down in zip(self.encoder, self.down, strict=True):
            h = encode(h)
            skips.append(h)
            h = down(h)
        h = self.middle(h)
        for up, decode, skip in zip(self.up, self.decoder, reversed(skips), strict=True):
            h = decode(up(h) + skip)
        restored: torch.Tensor = self.tail(h) + x[:, : self.channels]
        return restored[:, :, :height, :width]
