"""Discriminators that judge patches or pixels: logits, positive for real.

N images, C channels, H height, W width.
"""

from __future__ import annotations

import itertools

import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils.parametrizations import spectral_norm

from fedzda.base import StrictConfig
from fedzda.vision.restoration.config import PatchDiscriminatorConfig, UNetDiscriminatorConfig
from fedzda.vision.restoration.layers import conv3

_SLOPE = 0.2
_WIDEST = 8


class PatchDiscriminator(nn.Module):
    """PatchGAN (Isola et al. 2017): every logit sees one patch.

    Args:
        config: Width, depth, norm.
        channels: C of the images.
    """

    Config = PatchDiscriminatorConfig

    def __init__(self, config: StrictConfig, channels: int) -> None:
        super().__init__()
        assert isinstance(config, PatchDiscriminatorConfig)
        factors = [min(1 << step, _WIDEST) for step in range(config.halvings + 1)]
        widths = [config.channels * factor for factor in factors]
        layers: list[nn.Module] = [nn.Conv2d(channels, widths[0], 4, 2, 1), nn.LeakyReLU(_SLOPE)]
        for place, (before, after) in enumerate(itertools.pairwise(widths), 1):
            stride, plain = 2 if place < config.halvings else 1, config.norm == "none"
            layers.append(nn.Conv2d(before, after, 4, stride, 1, bias=plain))
            layers += [] if plain else [nn.BatchNorm2d(after)]
            layers.append(nn.LeakyReLU(_SLOPE))
        self.layers = nn.Sequential(*layers, nn.Conv2d(widths[-1], 1, 4, 1, 1))

    def forward(self, x_NCHW: torch.Tensor) -> torch.Tensor:
        """Logits ``(N, 1, h, w)``, about one per 2^halvings pixels."""
        logits: torch.Tensor = self.layers(x_NCHW)
        return logits


def _normed(before: int, after: int, halve: bool = False) -> nn.Module:
    """A convolution without bias and with its largest singular value held at 1."""
    kernel, stride = (4, 2) if halve else (3, 1)
    layer: nn.Module = spectral_norm(nn.Conv2d(before, after, kernel, stride, 1, bias=False))
    return layer


class UNetDiscriminator(nn.Module):
    """U-Net with additive skips and spectral norms (Wang et al. 2021): a logit for every pixel.

    Args:
        config: Width.
        channels: C of the images.
    """

    Config = UNetDiscriminatorConfig

    def __init__(self, config: StrictConfig, channels: int) -> None:
        super().__init__()
        assert isinstance(config, UNetDiscriminatorConfig)
        widths = [config.channels << level for level in range(4)]
        steps = list(itertools.pairwise(widths))
        self.head = conv3(channels, widths[0])
        self.down = nn.ModuleList(_normed(fine, deep, halve=True) for fine, deep in steps)
        self.up = nn.ModuleList(_normed(deep, fine) for fine, deep in reversed(steps))
        self.tail = nn.Sequential(
            _normed(widths[0], widths[0]),
            nn.LeakyReLU(_SLOPE),
            _normed(widths[0], widths[0]),
            nn.LeakyReLU(_SLOPE),
            conv3(widths[0], 1),
        )

    def forward(self, x_NCHW: torch.Tensor) -> torch.Tensor:
        """Logits ``(N, 1, H, W)``; height and width of 8 pixels or more."""
        maps = [functional.leaky_relu(self.head(x_NCHW), _SLOPE)]
        for layer in self.down:
            maps.append(functional.leaky_relu(layer(maps[-1]), _SLOPE))
        h = maps.pop()
        for layer in self.up:
            skip = maps.pop()
            h = functional.interpolate(h, size=skip.shape[2:], mode="bilinear")
            h = functional.leaky_relu(layer(h), _SLOPE) + skip
        logits: torch.Tensor = self.tail(h)
        return logits
