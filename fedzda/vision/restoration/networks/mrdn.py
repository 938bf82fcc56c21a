"""MRDN: the residual dense network (Zhang et al. 2018) with multi-rate blocks (Bao et al. 2020)."""

from __future__ import annotations

import torch
from torch import nn

from fedzda.base import StrictConfig
from fedzda.vision.restoration.config import MRDNConfig
from fedzda.vision.restoration.layers import conv3, with_map
from fedzda.vision.restoration.networks.base import RestorationModel
from fedzda.vision.restoration.networks.mrdb import MRDB


class MRDN(RestorationModel):
    """A chain of MRDBs whose outputs are joined, with a skip over the chain and over everything.

    Args:
        config: Blocks and their widths.
        channels: C of the images.
    """

    Config = MRDNConfig

    def __init__(self, config: StrictConfig, channels: int) -> None:
        super().__init__(config, channels)
        assert isinstance(config, MRDNConfig)
        self.channels, width = channels, config.channels
        self.head = conv3(with_map(channels, config.noise_map), width)
        self.entry = conv3(width, width)
        self.blocks = nn.ModuleList(MRDB(width, config) for _ in range(config.blocks))
        self.join = nn.Sequential(nn.Conv2d(width * config.blocks, width, 1), conv3(width, width))
        self.tail = conv3(width, channels)

    def forward(self, x_NCHW: torch.Tensor) -> torch.Tensor:
        """See :class:`RestorationModel`."""
        shallow = self.head(x_NCHW)
        h, maps = self.entry(shallow), []
        for block in self.blocks:
            h = block(h)
            maps.append(h)
        change: torch.Tensor = self.tail(self.join(torch.cat(maps, dim=1)) + shallow)
        return x_NCHW[:, : self.channels] + change
