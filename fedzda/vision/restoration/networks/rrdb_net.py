"""RRDBNet, the generator of ESRGAN (Wang et al. 2018, arXiv 1809.00219)."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from fedzda.base import StrictConfig
from fedzda.vision.restoration.config import RRDBNetConfig
from fedzda.vision.restoration.layers import conv3
from fedzda.vision.restoration.networks.base import RestorationModel

_SLOPE = 0.2
_RESIDUAL = 0.2
_START = 0.1
_CONVOLUTIONS = 5


class DenseUnit(nn.Module):
    """Five convolutions, each on all maps before it; a fifth of the last is added to the input."""

    def __init__(self, channels: int, growth: int) -> None:
        super().__init__()
        outputs = [growth] * (_CONVOLUTIONS - 1) + [channels]
        self.layers = nn.ModuleList(
            conv3(channels + place * growth, after) for place, after in enumerate(outputs)
        )
        for layer in self.layers:
            assert isinstance(layer, nn.Conv2d)
            assert layer.bias is not None
            nn.init.kaiming_normal_(layer.weight)
            layer.weight.data.mul_(_START)
            nn.init.zeros_(layer.bias)

    def forward(self, x_NCHW: torch.Tensor) -> torch.Tensor:
        """``(N, C, H, W)`` to the same shape."""
        maps, h = [x_NCHW], x_NCHW
        for place, layer in enumerate(self.layers):
            h = layer(torch.cat(maps, dim=1))
            if place < _CONVOLUTIONS - 1:
                h = functional.leaky_relu(h, _SLOPE)
                maps.append(h)
        return x_NCHW + _RESIDUAL * h


class RRDB(nn.Module):
    """Three dense units; a fifth of their result is added to the input."""

    def __init__(self, channels: int, growth: int) -> None:
        super().__init__()
        self.units = nn.Sequential(*(DenseUnit(channels, growth) for _ in range(3)))

    def forward(self, x_NCHW: torch.Tensor) -> torch.Tensor:
        """``(N, C, H, W)`` to the same shape."""
        change: torch.Tensor = self.units(x_NCHW)
        return x_NCHW + _RESIDUAL * change


class RRDBNet(RestorationModel):
    """Blocks at the small size, then doublings by nearest neighbour and convolution.

    Args:
        config: Widths, blocks, scale.
        channels: C of the images.
    """

    Config = RRDBNetConfig

    def __init__(self, config: StrictConfig, channels: int) -> None:
        super().__init__(config, channels)
        assert isinstance(config, RRDBNetConfig)
        width, self.scale = config.channels, config.scale
        self.head = conv3(channels, width)
        self.blocks = nn.Sequential(*(RRDB(width, config.growth) for _ in range(config.blocks)))
        self.body = conv3(width, width)
        self.doublings = nn.ModuleList(conv3(width, width) for _ in range(config.scale // 2))
        self.detail = conv3(width, width)
        self.tail = conv3(width, channels)

    def forward(self, x_NCHW: torch.Tensor) -> torch.Tensor:
        """See :class:`RestorationModel`."""
        shallow = self.head(x_NCHW)
        h = shallow + self.body(self.blocks(shallow))
        for layer in self.doublings:
            h = functional.leaky_relu(layer(functional.interpolate(h, scale_factor=2.0)), _SLOPE)
        restored: torch.Tensor = self.tail(functional.leaky_relu(self.detail(h), _SLOPE))
        return restored
