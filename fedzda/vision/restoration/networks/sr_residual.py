"""A residual network for super-resolution without norms, after EDSR (Lim et al. 2017,
arXiv 1707.02921). The full size is EDSR-baseline; the small one's direct upsampling is that of
ESPCN, its skip of the enlarged image that of VDSR, both our choice."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from fedzda.base import StrictConfig
from fedzda.vision.restoration.config import SRResidualConfig
from fedzda.vision.restoration.layers import conv3
from fedzda.vision.restoration.networks.base import RestorationModel


class ResidualBlock(nn.Module):
    """Two convolutions, added to the input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.change = nn.Sequential(conv3(channels, channels), nn.ReLU(), conv3(channels, channels))

    def forward(self, x_NCHW: torch.Tensor) -> torch.Tensor:
        """``(N, C, H, W)`` to the same shape."""
        change: torch.Tensor = self.change(x_NCHW)
        return x_NCHW + change


class SRResidual(RestorationModel):
    """Residual blocks at the small size, then sub-pixel shuffling.

    Args:
        config: Width, blocks, scale, upsampling.
        channels: C of the images.
    """

    Config = SRResidualConfig

    def __init__(self, config: StrictConfig, channels: int) -> None:
        super().__init__(config, channels)
        assert isinstance(config, SRResidualConfig)
        width, self.scale, self.skip = config.channels, config.scale, config.skip
        self.head = conv3(channels, width)
        blocks = [ResidualBlock(width) for _ in range(config.blocks)]
        self.body = nn.Sequential(*blocks, conv3(width, width))
        self.tail = nn.Sequential(*_upsampling(config, channels))

    def forward(self, x_NCHW: torch.Tensor) -> torch.Tensor:
        """See :class:`RestorationModel`."""
        shallow = self.head(x_NCHW)
        restored: torch.Tensor = self.tail(shallow + self.body(shallow))
        if self.skip:
            restored = restored + functional.interpolate(
                x_NCHW, scale_factor=float(self.scale), mode="bilinear"
            )
        return restored


def _upsampling(config: SRResidualConfig, channels: int) -> list[nn.Module]:
    width, scale = config.channels, config.scale
    if config.upsampling == "direct":
        return [conv3(width, channels * scale**2), nn.PixelShuffle(scale)]
    layers: list[nn.Module] = []
    for factor in (3,) if scale == 3 else (2,) * (scale // 2):
        layers += [conv3(width, width * factor**2), nn.PixelShuffle(factor)]
    return [*layers, conv3(width, channels)]
