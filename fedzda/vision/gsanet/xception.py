"""Aligned Xception (Chen et al. 2018, arXiv 1802.02611, figure 4) as a feature network.

Against Chollet's Xception: more middle blocks, strided separable convolutions instead of pooling,
normalisation after every depthwise convolution. 37,867,312 parameters with 16 middle blocks.

N images, C channels, H height, W width.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

import torch
from torch import nn

from fedzda.vision.gsanet.config import XceptionConfig
from fedzda.vision.gsanet.layers import Norm, convolution, scaled, separable
from fedzda.vision.gsanet.strides import Strides

_STEM = (32, 64)
_ENTRY = (128, 256, 728)
_MIDDLE = 728
_EXIT = (728, 1024, 1024)
_LAST = (1536, 1536, 2048)
Shortcut = Literal["convolution", "identity", "none"]


class Block(nn.Module):
    """Three separable convolutions, the last with the stride, and a shortcut.

    Args:
        before: Channels that come in.
        widths: Channels after each separable convolution.
        stride: Stride of the third.
        dilation: Dilation of all.
        norm: Normalisation.
        shortcut: ``convolution``: 1x1 with the stride; ``identity``; ``none``: none, and ReLU
            stands after every convolution instead of before every separable one.
    """

    def __init__(
        self,
        before: int,
        widths: tuple[int, ...],
        stride: int,
        dilation: int,
        norm: Norm,
        shortcut: Shortcut,
    ) -> None:
        super().__init__()
        after_each = shortcut == "none"
        layers = []
        for number, (c_in, c_out) in enumerate(pairwise((before, *widths))):
            step = stride if number == len(widths) - 1 else 1
            own = separable(c_in, c_out, norm, stride=step, dilation=dilation, act=after_each)
            layers.append(own if after_each else nn.Sequential(nn.ReLU(), own))
        self.body, self.last = nn.Sequential(*layers[:-1]), layers[-1]
        self.shortcut: nn.Module | None = None
        if shortcut == "convolution":
            self.shortcut = convolution(before, widths[-1], 1, norm, stride=stride, act=False)
        elif shortcut == "identity":
            self.shortcut = nn.Identity()

    def forward(self, x_NCHW: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The map before the third convolution, and the block's output."""
        inner = self.body(x_NCHW)
        out = self.last(inner)
        return inner, out if self.shortcut is None else out + self.shortcut(x_NCHW)


class Xception(nn.Module):
    """A low-level map at a quarter of the image and the last map at the output stride.

    The low-level map is that of the second entry block before its strided convolution.

    Attributes:
        low_channels: Channels of the low-level map.
        channels: Channels of the last map.
    """

    def __init__(
        self, in_channels: int, config: XceptionConfig, output_stride: int, norm: Norm
    ) -> None:
        super().__init__()

        def wide(*channels: int) -> tuple[int, ...]:
            return tuple(scaled(count, config.width) for count in channels)

        first, second = wide(*_STEM)
        self.stem = nn.Sequential(
            convolution(in_channels, first, 3, norm, stride=2),
            convolution(first, second, 3, norm),
        )
        strides = Strides(output_stride, reached=2)
        plan: list[tuple[tuple[int, ...], int, Shortcut]]
        plan = [(wide(*[count] * 3), 2, "convolution") for count in _ENTRY]
        plan += [(wide(*[_MIDDLE] * 3), 1, "identity")] * config.middle_blocks
        plan += [(wide(*_EXIT), 2, "convolution"), (wide(*_LAST), 1, "none")]
        self.blocks = nn.ModuleList()
        before = second
        for widths, stride, shortcut in plan:
            self.blocks.append(Block(before, widths, *strides.take(stride), norm, shortcut))
            before = widths[-1]
        self.low_channels, self.channels = wide(_ENTRY[1])[0], before

    def forward(self, x_NCHW: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Low-level map and last map of images ``(N, C, H, W)``."""
        x = self.stem(x_NCHW)
        _, x = self.blocks[0](x)
        low, x = self.blocks[1](x)
        for block in self.blocks[2:]:
            _, x = block(x)
        return low, x
