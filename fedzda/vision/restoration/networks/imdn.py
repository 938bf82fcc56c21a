"""IMDN: information multi-distillation (Hui, Gao, Yang, Wang 2019, arXiv 1909.11856)."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from fedzda.base import StrictConfig
from fedzda.vision.restoration.config import IMDNConfig
from fedzda.vision.restoration.layers import conv3
from fedzda.vision.restoration.networks.base import RestorationModel

_SLOPE = 0.05
_STEPS = 4


class DistillationBlock(nn.Module):
    """Four convolutions; each keeps a quarter of the channels and passes on the rest.

    The kept quarters are weighed by the contrast (mean plus standard deviation) of each channel,
    mixed and added to the input.
    """

    def __init__(self, channels: int, reduction: int) -> None:
        super().__init__()
        self.kept = channels // _STEPS
        rest = channels - self.kept
        befores = [channels] + [rest] * (_STEPS - 1)
        afters = [channels] * (_STEPS - 1) + [self.kept]
        self.layers = nn.ModuleList(map(conv3, befores, afters))
        narrow = max(channels // reduction, 1)
        self.gate = nn.Sequential(
            nn.Conv2d(channels, narrow, 1), nn.ReLU(), nn.Conv2d(narrow, channels, 1), nn.Sigmoid()
        )
        self.mix = nn.Conv2d(channels, channels, 1)

    def forward(self, x_NCHW: torch.Tensor) -> torch.Tensor:
        """``(N, C, H, W)`` to the same shape."""
        kept, h = [], x_NCHW
        for layer in self.layers[:-1]:
            h = functional.leaky_relu(layer(h), _SLOPE)
            kept.append(h[:, : self.kept])
            h = h[:, self.kept :]
        h = torch.cat([*kept, self.layers[-1](h)], dim=1)
        variance, mean = torch.var_mean(h, dim=(2, 3), keepdim=True, correction=0)
        # The root has no derivative at 0, which a constant map reaches.
        contrast = torch.sqrt(variance + 1e-12) + mean
        change: torch.Tensor = self.mix(h * self.gate(contrast))
        return x_NCHW + change


class IMDN(RestorationModel):
    """Distillation blocks at the small size whose outputs are joined, then one shuffle.

    Args:
        config: Width, blocks, scale.
        channels: C of the images.
    """

    Config = IMDNConfig

    def __init__(self, config: StrictConfig, channels: int) -> None:
        super().__init__(config, channels)
        assert isinstance(config, IMDNConfig)
        width, self.scale = config.channels, config.scale
        self.head = conv3(channels, width)
        self.blocks = nn.ModuleList(
            DistillationBlock(width, config.reduction) for _ in range(config.blocks)
        )
        self.join = nn.Sequential(
            nn.Conv2d(width * config.blocks, width, 1), nn.LeakyReLU(_SLOPE), conv3(width, width)
        )
        self.tail = nn.Sequential(
            conv3(width, channels * self.scale**2), nn.PixelShuffle(self.scale)
        )

    def forward(self, x_NCHW: torch.Tensor) -> torch.Tensor:
        """See :class:`RestorationModel`."""
        shallow = self.head(x_NCHW)
        h, maps = shallow, []
        for block in self.blocks:
            h = block(h)
            maps.append(h)
        restored: torch.Tensor = self.tail(self.join(torch.cat(maps, dim=1)) + shallow)
        return restored
