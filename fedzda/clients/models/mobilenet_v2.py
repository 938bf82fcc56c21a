"""MobileNetV2 (Sandler et al. 2018, arXiv 1801.04381, table 2) in CIFAR form: the stem and the
second stage have stride 1, so that 32x32 images reach the head as 4x4 maps.

The weights are those of the paper's network (identity shortcuts only), whatever the strides:
2,236,682 parameters with 10 classes, 3,504,872 with 1,000. Ports that add 1x1 shortcuts where
channels change have 2,296,922.
"""

from __future__ import annotations

import torch
from torch import nn

from fedzda.clients.models.config import DeepNorm, MobileNetV2Config
from fedzda.clients.models.deep import DeepModel, kaiming_convolutions
from fedzda.clients.models.layers import norm_2d

_STAGES = (
    # expansion, channels, blocks, stride of the first block
    (1, 16, 1, 1),
    (6, 24, 2, 1),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
_STEM_CHANNELS, _HEAD_CHANNELS = 32, 1280


def _conv(
    before: int, after: int, kernel: int, stride: int, groups: int, norm: DeepNorm
) -> list[nn.Module]:
    convolution = nn.Conv2d(before, after, kernel, stride, kernel // 2, groups=groups, bias=False)
    return [convolution, norm_2d(norm, after)]


class InvertedResidual(nn.Module):
    """1x1 expansion, 3x3 depthwise, linear 1x1 projection; identity shortcut where shapes agree."""

    def __init__(self, before: int, after: int, stride: int, expand: int, norm: DeepNorm) -> None:
        super().__init__()
        middle = before * expand
        layers: list[nn.Module] = []
        if expand != 1:
            layers += [*_conv(before, middle, 1, 1, 1, norm), nn.ReLU6()]
        layers += [*_conv(middle, middle, 3, stride, middle, norm), nn.ReLU6()]
        layers += _conv(middle, after, 1, 1, 1, norm)
        self.layers = nn.Sequential(*layers)
        self.residual = stride == 1 and before == after

    def forward(self, x_NCHW: torch.Tensor) -> torch.Tensor:
        """``(N, C, H, W)`` to ``(N, after, H/stride, W/stride)``."""
        out: torch.Tensor = self.layers(x_NCHW)
        return out + x_NCHW if self.residual else out


class MobileNetV2(DeepModel):
    """Stem, seventeen inverted residuals, 1x1 head, global average, linear classifier.

    Args:
        in_channels: Channels of the images.
        num_classes: Number of logits.
        norm: ``batch`` or ``group``.
    """

    Config = MobileNetV2Config

    def __init__(self, in_channels: int, num_classes: int, norm: DeepNorm = "batch") -> None:
        super().__init__()
        layers: list[nn.Module] = [*_conv(in_channels, _STEM_CHANNELS, 3, 1, 1, norm), nn.ReLU6()]
        before = _STEM_CHANNELS
        for expand, after, blocks, first_stride in _STAGES:
            for block in range(blocks):
                stride = first_stride if block == 0 else 1
                layers.append(InvertedResidual(before, after, stride, expand, norm))
                before = after
        layers += [*_conv(before, _HEAD_CHANNELS, 1, 1, 1, norm), nn.ReLU6()]
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Linear(_HEAD_CHANNELS, num_classes)
        kaiming_convolutions(self)

    def forward(self, x_NCHW: torch.Tensor) -> torch.Tensor:
        """Logits ``(N, num_classes)`` of normalised images."""
        logits: torch.Tensor = self.classifier(self.features(x_NCHW).mean(dim=(2, 3)))
        return logits
