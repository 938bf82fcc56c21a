"""MCU-Net: cascaded U-Nets with block-connection (Bao et al., CVPRW 2020).

Confirmed: U-Nets in a row, encoder and decoder joined through MRDBs and not by plain skips. The
rest is our reconstruction. N images, C channels, H height, W width.
"""

from __future__ import annotations

import itertools

import torch
from torch import nn

from fedzda.base import StrictConfig
from fedzda.vision.restoration.config import MCUNetConfig
from fedzda.vision.restoration.layers import conv3, padded, with_map
from fedzda.vision.restoration.networks.base import RestorationModel
from fedzda.vision.restoration.networks.mrdb import MRDB


def _pair(before: int, after: int) -> nn.Sequential:
    return nn.Sequential(conv3(before, after), nn.ReLU(), conv3(after, after), nn.ReLU())


class UNet(nn.Module):
    """Encoder and decoder of feature maps, joined through an MRDB at every scale.

    Args:
        config: Widths, scales, blocks.
    """

    def __init__(self, config: MCUNetConfig) -> None:
        super().__init__()
        widths = [config.channels << level for level in range(config.levels)]
        self.encoder = nn.ModuleList(_pair(width, width) for width in widths)
        steps = list(itertools.pairwise(widths))
        self.down = nn.ModuleList(nn.Conv2d(fine, deep, 2, stride=2) for fine, deep in steps)
        self.joints = nn.ModuleList(
            MRDB(width, config, shrunk=1 << level) for level, width in enumerate(widths)
        )
        self.up = nn.ModuleList(
            nn.Sequential(nn.Conv2d(deep, 4 * fine, 1, bias=False), nn.PixelShuffle(2))
            for fine, deep in steps
        )
        self.decoder = nn.ModuleList(_pair(2 * width, width) for width in widths[:-1])

    def forward(self, x_NCHW: torch.Tensor) -> torch.Tensor:
        """``(N, channels, H, W)`` to the same shape; both sides multiples of 2^(levels - 1)."""
        joined = []
        for level, (encode, joint) in enumerate(zip(self.encoder, self.joints, strict=True)):
            x_NCHW = encode(x_NCHW)
            joined.append(joint(x_NCHW))
            if level < len(self.down):
                x_NCHW = self.down[level](x_NCHW)
        h: torch.Tensor = joined[-1]
        for level in reversed(range(len(self.up))):
            h = self.decoder[level](torch.cat([joined[level], self.up[level](h)], dim=1))
        return h


class MCUNet(RestorationModel):
    """U-Nets in a row; each sees the features and the result of the one before.

    Args:
        config: U-Nets, scales, widths, blocks.
        channels: C of the images.
    """

    Config = MCUNetConfig

    def __init__(self, config: StrictConfig, channels: int) -> None:
        super().__init__(config, channels)
        assert isinstance(config, MCUNetConfig)
        self.channels, width = channels, config.channels
        self.needs = 1 << (config.levels - 1)
        first = with_map(channels, config.noise_map)
        entries = [first] + [width + channels] * (config.cascade - 1)
        self.heads = nn.ModuleList(conv3(before, width) for before in entries)
        self.nets = nn.ModuleList(UNet(config) for _ in entries)
        self.tails = nn.ModuleList(conv3(width, channels) for _ in entries)

    def forward(self, x_NCHW: torch.Tensor) -> torch.Tensor:
        """See :class:`RestorationModel`; other sizes are padded inside."""
        height, width = x_NCHW.shape[2:]
        x = padded(x_NCHW, self.needs)
        image, seen, result = x[:, : self.channels], x, x
        for head, net, tail in zip(self.heads, self.nets, self.tails, strict=True):
            features = net(head(seen))
            result = image + tail(features)
            seen = torch.cat([features, result], dim=1)
        return result[:, :, :height, :width]
