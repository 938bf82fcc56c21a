"""MobileNetEdge: the first MobileNet for Edge TPUs, as a feature network.

The layout is that of ``mobilenet_edgetpu_100`` in huggingface/pytorch-image-models: ReLU, no
squeeze-and-excitation, and fused blocks (one full convolution instead of 1x1 and depthwise) in the
first stages. 2,562,112 parameters up to the last stage at width 1.

N images, C channels, H height, W width.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import nn

from fedzda.vision.gsanet.config import MobileNetEdgeConfig
from fedzda.vision.gsanet.layers import Norm, convolution, scaled
from fedzda.vision.gsanet.strides import Strides


class _Stage(NamedTuple):
    kind: str
    kernel: int
    stride: int
    first_expand: int
    first_skip: bool
    repeats: int
    channels: int


_STEM, _FIRST = 32, 16
_STAGES = (
    _Stage("fused", 3, 2, 8, True, 3, 32),
    _Stage("fused", 3, 2, 8, True, 3, 48),
    _Stage("inverted", 3, 2, 8, True, 3, 96),
    _Stage("inverted", 3, 1, 8, False, 3, 96),
    _Stage("inverted", 5, 2, 8, True, 3, 160),
    _Stage("inverted", 3, 1, 8, True, 0, 192),
)
_EXPAND = 4
"""Expansion of the blocks after the first of a stage."""


class Block(nn.Module):
    """Expansion and linear projection; identity shortcut where shapes agree and ``skip`` is set.

    ``fused``: the expansion is a full convolution with the stride. ``inverted``: 1x1 expansion,
    then a depthwise convolution with the stride.
    """

    def __init__(
        self,
        kind: str,
        before: int,
        after: int,
        kernel: int,
        expand: int,
        stride: int,
        dilation: int,
        norm: Norm,
        skip: bool,
    ) -> None:
        super().__init__()
        middle = scaled(before * expand, 1.0)
        if kind == "fused":
            layers = [convolution(before, middle, kernel, norm, stride=stride, dilation=dilation)]
        else:
            layers = [
                convolution(before, middle, 1, norm),
                convolution(
                    middle, middle, kernel, norm, stride=stride, dilation=dilation, groups=middle
                ),
            ]
        self.layers = nn.Sequential(*layers, convolution(middle, after, 1, norm, act=False))
        self.skip = skip and stride == 1 and before == after

    def forward(self, x_NCHW: torch.Tensor) -> torch.Tensor:
        """``(N, before, H, W)`` to ``(N, after, H / stride, W / stride)``."""
        out: torch.Tensor = self.layers(x_NCHW)
        return out + x_NCHW if self.skip else out


class MobileNetEdge(nn.Module):
    """A low-level map at a quarter of the image and the last map at the output stride.

    Attributes:
        low_channels: Channels of the low-level map.
        channels: Channels of the last map.
    """

    def __init__(
        self, in_channels: int, config: MobileNetEdgeConfig, output_stride: int, norm: Norm
    ) -> None:
        super().__init__()
        width = config.width
        stem, before = scaled(_STEM, width), scaled(_FIRST, width)
        self.stem = nn.Sequential(
            convolution(in_channels, stem, 3, norm, stride=2), convolution(stem, before, 1, norm)
        )
        strides = Strides(output_stride, reached=2)
        stages = []
        for stage in _STAGES[: config.stages]:
            after = scaled(stage.channels, width)
            stages.append(_stage(stage, before, after, strides, norm))
            before = after
        self.low = stages[0]
        self.high = nn.Sequential(*stages[1:])
        self.low_channels, self.channels = scaled(_STAGES[0].channels, width), before

    def forward(self, x_NCHW: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Low-level map and last map of images ``(N, C, H, W)``."""
        low = self.low(self.stem(x_NCHW))
        return low, self.high(low)


def _stage(stage: _Stage, before: int, after: int, strides: Strides, norm: Norm) -> nn.Sequential:
    blocks = []
    for number in range(1 + stage.repeats):
        first = number == 0
        stride, dilation = strides.take(stage.stride if first else 1)
        blocks.append(
            Block(
                stage.kind,
                before if first else after,
                after,
                stage.kernel,
                stage.first_expand if first else _EXPAND,
                stride,
                dilation,
                norm,
                skip=stage.first_skip or not first,
            )
        )
    return nn.Sequential(*blocks)
