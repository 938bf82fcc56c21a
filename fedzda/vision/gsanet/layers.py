"""Convolutions with normalisation, and the one way in which maps are resized.

N images, C channels, H height, W width.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import nn
from torch.nn import functional

Norm = Literal["batch", "group", "none"]

_GROUPS = (8, 4, 2, 1)
_DIVISOR = 8


class BatchNorm2d(nn.BatchNorm2d):
    """BatchNorm that survives a single value per channel (one image, one pixel).

    PyTorch refuses it in training because its variance is undefined. The running statistics
    normalise it, and are left unchanged.
    """

    def forward(self, x_NCHW: torch.Tensor) -> torch.Tensor:
        """Normalise ``(N, C, H, W)``."""
        if self.training and x_NCHW.numel() == x_NCHW.shape[1]:
            mean, var, weight, bias = self.running_mean, self.running_var, self.weight, self.bias
            return functional.batch_norm(x_NCHW, mean, var, weight, bias, eps=self.eps)
        return super().forward(x_NCHW)


def norm_2d(kind: Norm, channels: int) -> nn.Module:
    """The normalisation of ``(N, C, H, W)``.

    GroupNorm has 8 groups, or the largest power of two below 8 that divides the channels into
    groups of at least two, because a group of one channel would wipe out a map of one pixel.
    """
    if kind == "batch":
        return BatchNorm2d(channels)
    if kind == "group":
        groups = next(n for n in _GROUPS if channels % n == 0 and channels > n)
        return nn.GroupNorm(groups, channels)
    return nn.Identity()


def scaled(channels: int, width: float) -> int:
    """``channels * width``, rounded to a multiple of 8, by at most a tenth downwards.

    Sandler et al. 2018 and its successors round in this way.
    """
    rounded = max(_DIVISOR, int(channels * width + _DIVISOR / 2) // _DIVISOR * _DIVISOR)
    return rounded if rounded >= 0.9 * channels * width else rounded + _DIVISOR


def convolution(
    before: int,
    after: int,
    kernel: int,
    norm: Norm,
    *,
    stride: int = 1,
    dilation: int = 1,
    groups: int = 1,
    act: bool = True,
) -> nn.Sequential:
    """Convolution with padding that keeps the size, normalisation, ReLU unless ``act`` is false."""
    padding = dilation * (kernel // 2)
    layers: list[nn.Module] = [
        nn.Conv2d(before, after, kernel, stride, padding, dilation, groups, bias=norm == "none"),
        norm_2d(norm, after),
    ]
    return nn.Sequential(*layers, nn.ReLU()) if act else nn.Sequential(*layers)


def separable(
    before: int,
    after: int,
    norm: Norm,
    *,
    stride: int = 1,
    dilation: int = 1,
    act: bool = True,
) -> nn.Sequential:
    """Depthwise 3x3 and pointwise convolution, each with normalisation and, by option, ReLU."""
    depthwise = convolution(
        before, before, 3, norm, stride=stride, dilation=dilation, groups=before, act=act
    )
    return nn.Sequential(depthwise, convolution(before, after, 1, norm, act=act))


def resize(x_NCHW: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
    """Bilinear resize to ``(height, width)``, corners not aligned: the same everywhere."""
    return functional.interpolate(x_NCHW, size=size, mode="bilinear", align_corners=False)


def initialise(module: nn.Module) -> None:
    """Kaiming-normal convolutions by fan-in, which is right for depthwise ones too; zero biases."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_in", nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
