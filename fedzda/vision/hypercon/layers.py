"""Blocks of the small networks.

N batch, C channels, H height, W width.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional


def convolution(
    in_channels: int, out_channels: int, kernel: int = 3, stride: int = 1, norm: bool = False
) -> nn.Sequential:
    """Reflected border, convolution, InstanceNorm by option, leaky ReLU."""
    parts: list[nn.Module] = [
        nn.Conv2d(in_channels, out_channels, kernel, stride, kernel // 2, padding_mode="reflect")
    ]
    if norm:
        parts.append(nn.InstanceNorm2d(out_channels, affine=True))
    return nn.Sequential(*parts, nn.LeakyReLU(0.1))


class Residual(nn.Module):
    """Two convolutions and a shortcut."""

    def __init__(self, channels: int, norm: bool = False) -> None:
        super().__init__()
        self.first = convolution(channels, channels, norm=norm)
        self.second = convolution(channels, channels, norm=norm)

    def forward(self, x_NCHW: torch.Tensor) -> torch.Tensor:
        """Same shape."""
        out: torch.Tensor = self.second(self.first(x_NCHW))
        return x_NCHW + out


class Up(nn.Module):
    """Twice the size by nearest neighbours, then a convolution: no checkerboard."""

    def __init__(self, in_channels: int, out_channels: int, norm: bool = False) -> None:
        super().__init__()
        self.convolution = convolution(in_channels, out_channels, norm=norm)

    def forward(self, x_NCHW: torch.Tensor) -> torch.Tensor:
        """``(N, C, H, W)`` to ``(N, out, 2H, 2W)``."""
        out: torch.Tensor = self.convolution(functional.interpolate(x_NCHW, scale_factor=2.0))
        return out


class Padded(nn.Module):
    """Runs a network on images padded at right and below, and cuts the result.

    Args:
        network: Takes images whose sides are multiples of ``multiple``.
        multiple: See above.
    """

    def __init__(self, network: nn.Module, multiple: int) -> None:
        super().__init__()
        self.network = network
        self.multiple = multiple

    def forward(self, *images: torch.Tensor) -> torch.Tensor:
        """Images of one size; the border repeats."""
        height, width = images[0].shape[2:]
        pad = (0, -width % self.multiple, 0, -height % self.multiple)
        padded = [functional.pad(image, pad, mode="replicate") for image in images]
        out: torch.Tensor = self.network(*padded)
        return out[:, :, :height, :width]
