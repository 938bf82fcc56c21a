"""Atrous spatial pyramid pooling, plain (DeepLabv3, arXiv 1706.05587) or with GSANet's attention.

N images, C channels, H height, W width.
"""

from __future__ import annotations

import torch
from torch import nn

from fedzda.vision.gsanet.attention import AveragePool, GlobalAttention
from fedzda.vision.gsanet.config import GSANetConfig
from fedzda.vision.gsanet.layers import convolution, separable
from fedzda.vision.gsanet.selective import SelectiveFusion

_RATES = (6, 12, 18)
_RATES_STRIDE = 16


def rates(config: GSANetConfig) -> list[int]:
    """Dilations of the pyramid: as configured, or those of DeepLabv3 for the output stride."""
    return config.rates or [rate * _RATES_STRIDE // config.output_stride for rate in _RATES]


def condensed_channels(config: GSANetConfig, channels: int) -> int:
    """Channels between condensation and diffusion."""
    return max(channels // config.condense_ratio, config.condense_min)


class ASPP(nn.Module):
    """1x1 convolution, dilated separable 3x3 convolutions and a global feature, joined into one.

    Args:
        before: Channels of the feature map.
        config: Which attention, which fusion, channels.
    """

    def __init__(self, before: int, config: GSANetConfig) -> None:
        super().__init__()
        after, norm = config.channels, config.norm
        scales: list[nn.Module] = [convolution(before, after, 1, norm)]
        scales += [separable(before, after, norm, dilation=rate) for rate in rates(config)]
        if config.attention == "none" or config.keep_average_pool:
            scales.append(AveragePool(before, after, config.pool_norm))
        if config.attention != "none":
            scales.append(
                GlobalAttention(
                    before,
                    after,
                    config.attention,
                    config.pool_norm,
                    config.heads,
                    config.attention_std,
                    config.learn_temperature,
                )
            )
        self.scales = nn.ModuleList(scales)
        self.fusion = fusion(len(scales), config)

    def forward(self, x_NCHW: torch.Tensor) -> torch.Tensor:
        """``(N, before, H, W)`` to ``(N, channels, H, W)``."""
        joined: torch.Tensor = self.fusion([scale(x_NCHW) for scale in self.scales])
        return joined


class Concatenation(nn.Module):
    """Maps side by side, then a convolution back to ``channels``: 1x1, or a separable 3x3."""

    def __init__(self, scales: int, config: GSANetConfig) -> None:
        super().__init__()
        before, after = scales * config.channels, config.channels
        if config.fuse_kernel == 1:
            self.convolution = convolution(before, after, 1, config.norm)
        else:
            self.convolution = separable(before, after, config.norm)

    def forward(self, scales: list[torch.Tensor]) -> torch.Tensor:
        """Maps ``(N, C, H, W)`` to one of the same shape."""
        joined: torch.Tensor = self.convolution(torch.cat(scales, dim=1))
        return joined


def fusion(scales: int, config: GSANetConfig) -> nn.Module:
    """What joins the scales of the pyramid."""
    if config.fusion == "concat":
        return Concatenation(scales, config)
    condensed = condensed_channels(config, config.channels)
    return SelectiveFusion(
        scales,
        config.channels,
        condensed,
        config.norm,
        config.condense,
        config.diffuse,
        config.diffuse_std,
    )
