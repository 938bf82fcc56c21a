"""MWRCANet: residual channel attention over a wavelet pyramid; it won the raw track of NTIRE 2020.

Structure from the winners' public repository (HIT-VPC & Huawei). The network works on the mosaic
itself: the first wavelet transform takes the colours apart.

N images, C channels, H height, W width.
"""

from __future__ import annotations

import torch
from torch import nn

from fedzda.base import StrictConfig, UserError
from fedzda.vision.restoration.config import MWRCANetConfig
from fedzda.vision.restoration.haar import haar, inverse_haar
from fedzda.vision.restoration.layers import conv3, pool, with_map
from fedzda.vision.restoration.networks.base import RestorationModel


class ChannelAttention(nn.Module):
    """Every channel times a gate in [0, 1] from the means of all channels."""

    def __init__(self, channels: int, reduction: int, window: int, shrunk: int) -> None:
        super().__init__()
        narrow = max(channels // reduction, 1)
        self.pool = pool(window, shrunk)
        self.gate = nn.Sequential(
            nn.Conv2d(channels, narrow, 1), nn.ReLU(), nn.Conv2d(narrow, channels, 1), nn.Sigmoid()
        )

    def forward(self, x_NCHW: torch.Tensor) -> torch.Tensor:
        """``(N, C, H, W)`` to the same shape."""
        gate: torch.Tensor = self.gate(self.pool(x_NCHW))
        return x_NCHW * gate


class ResidualBlock(nn.Module):
    """Two convolutions and attention, added to the input."""

    def __init__(self, channels: int, config: MWRCANetConfig, shrunk: int) -> None:
        super().__init__()
        self.change = nn.Sequential(
            conv3(channels, channels),
            nn.PReLU(),
            conv3(channels, channels),
            ChannelAttention(channels, config.reduction, config.pool_window, shrunk),
        )

    def forward(self, x_NCHW: torch.Tensor) -> torch.Tensor:
        """``(N, C, H, W)`` to the same shape."""
        change: torch.Tensor = self.change(x_NCHW)
        return x_NCHW + change


class Chain(nn.Module):
    """Residual blocks and a convolution, added to the input."""

    def __init__(self, channels: int, config: MWRCANetConfig, shrunk: int) -> None:
        super().__init__()
        blocks = [ResidualBlock(channels, config, shrunk) for _ in range(config.blocks)]
        self.change = nn.Sequential(*blocks, conv3(channels, channels))

    def forward(self, x_NCHW: torch.Tensor) -> torch.Tensor:
        """``(N, C, H, W)`` to the same shape."""
        change: torch.Tensor = self.change(x_NCHW)
        return x_NCHW + change


class MWRCANet(RestorationModel):
    """Three wavelet scales down and up again, with additive skips.

    Args:
        config: Widths and blocks.
        channels: C of the images; 1 for a Bayer mosaic.
    """

    Config = MWRCANetConfig
    multiple = 8

    def __init__(self, config: StrictConfig, channels: int) -> None:
        super().__init__(config, channels)
        assert isinstance(config, MWRCANetConfig)
        wide, deep, self.channels = config.channels, config.deep_channels, channels
        entry = 4 * with_map(channels, config.noise_map)
        self.down1 = nn.Sequential(conv3(entry, wide), nn.PReLU(), Chain(wide, config, 2))
        self.down2 = nn.Sequential(conv3(4 * wide, deep), nn.PReLU(), Chain(deep, config, 4))
        self.down3 = nn.Sequential(conv3(4 * deep, deep), nn.PReLU())
        self.middle = Chain(deep, config, 8)
        self.up1 = nn.Sequential(conv3(deep, 4 * deep), nn.PReLU())
        self.up2 = nn.Sequential(Chain(deep, config, 4), conv3(deep, 4 * wide), nn.PReLU())
        self.up3 = nn.Sequential(Chain(wide, config, 2), conv3(wide, 4 * channels))

    def forward(self, x_NCHW: torch.Tensor) -> torch.Tensor:
        """See :class:`RestorationModel`.

        Raises:
            UserError: Height or width is no multiple of 8.
        """
        height, width = x_NCHW.shape[2:]
        if height % self.multiple or width % self.multiple:
            raise UserError(
                f"model mwrcanet needs images whose height and width are multiples of "
                f"{self.multiple} (got {height}x{width}). Crop or pad them."
            )
        head = haar(x_NCHW)
        half = self.down1(head)
        quarter = self.down2(haar(half))
        eighth = self.middle(self.down3(haar(quarter)))
        quarter = inverse_haar(self.up1(eighth)) + quarter
        half = inverse_haar(self.up2(quarter)) + half
        return inverse_haar(self.up3(half) + haar(x_NCHW[:, : self.channels]))
