"""Inpainting by partial convolutions (Liu et al. 2018, arXiv 1804.07723), small.

A convolution sees known pixels only and is scaled by their share (equations 1 and 2); the hole
shrinks from layer to layer. Perceptual and style losses are left out: they need VGG.

N batch, C channels, H height, W width. Masks here are 1 where known.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import torch
from torch import nn
from torch.nn import functional

from fedzda.vision.hypercon.arrays import Hole, Pixels
from fedzda.vision.hypercon.config import InpaintingConfig
from fedzda.vision.hypercon.layers import Padded
from fedzda.vision.hypercon.training import Note, crops, fit, silent

_DEPTH = 4


class PartialConvolution(nn.Module):
    """3x3; the mask has one channel."""

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(in_channels, out_channels, 3, stride, 1, bias=False)
        self.bias = nn.Parameter(torch.zeros(out_channels))
        self.stride = stride

    def forward(
        self, x_NCHW: torch.Tensor, known_N1HW: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Features and the new mask; 0 where nothing under the kernel is known."""
        share = functional.avg_pool2d(known_N1HW, 3, self.stride, padding=1)
        known = (share > 0).to(x_NCHW.dtype)
        out = self.convolution(x_NCHW * known_N1HW) / share.clamp(min=1e-6)
        return (out + self.bias.view(1, -1, 1, 1)) * known, known


class InpaintingNet(nn.Module):
    """A U-Net of partial convolutions, four halvings.

    Args:
        width: Channels at full size; they double twice.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        sizes = [width * min(2**level, 4) for level in range(_DEPTH + 1)]
        self.first = PartialConvolution(3, width)
        self.down = nn.ModuleList(
            PartialConvolution(sizes[level], sizes[level + 1], 2) for level in range(_DEPTH)
        )
        self.up = nn.ModuleList(
            PartialConvolution(sizes[level + 1] + sizes[level], sizes[level])
            for level in reversed(range(_DEPTH))
        )
        self.last = PartialConvolution(width + 3, 3)

    def forward(self, x_NCHW: torch.Tensor, hole_N1HW: torch.Tensor) -> torch.Tensor:
        """Images in [0, 1], whole; pixels under holes (1) are not looked at."""
        known = 1 - hole_N1HW
        out, mask = _activated(self.first, x_NCHW, known)
        passed = [(out, mask)]
        for layer in self.down:
            out, mask = _activated(layer, out, mask)
            passed.append((out, mask))
        passed.pop()
        for layer in self.up:
            out, mask = _activated(layer, *_joined(out, mask, *passed.pop()))
        out, _ = self.last(*_joined(out, mask, x_NCHW * known, known, double=False))
        return torch.sigmoid(out)


def _activated(
    layer: nn.Module, x: torch.Tensor, mask: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    out, mask = layer(x, mask)
    return functional.leaky_relu(out, 0.1), mask


def _joined(
    x: torch.Tensor,
    mask: torch.Tensor,
    side: torch.Tensor,
    side_mask: torch.Tensor,
    double: bool = True,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Features beside those of the way down, with a mask for both.

    One mask must serve all channels; features count where either side knows something, and the
    side's own holes are zero already.
    """
    if double:
        x, mask = (functional.interpolate(part, scale_factor=2.0) for part in (x, mask))
    return torch.cat((x, side), dim=1), torch.maximum(mask, side_mask)


def train_inpainting(
    pictures: Sequence[Pixels],
    config: InpaintingConfig,
    rng: np.random.Generator,
    note: Note = silent,
) -> nn.Module:
    """A network ``(images, holes) -> images`` trained on pictures with random holes.

    Args:
        pictures: To train on.
        config: Settings.
        rng: Chooses crops and holes; weights come from torch's global stream.
        note: Is told every step.
    """
    network = Padded(InpaintingNet(config.width), multiple=2**_DEPTH)

    def loss() -> torch.Tensor:
        truth = crops(pictures, config.batch_size, config.crop, rng)
        holes = np.stack([random_hole(config.crop, rng) for _ in truth])
        hole = torch.from_numpy(holes).to(truth.dtype).unsqueeze(1)
        gap = (network(truth, hole) - truth).abs()
        weighed: torch.Tensor = config.hole_weight * gap * hole + gap * (1 - hole)
        return weighed.mean()

    fit(network, config, loss, note)
    return network


def random_hole(side: int, rng: np.random.Generator) -> Hole:
    """One to three ellipses and a few strokes of a brush, ``(side, side)``."""
    canvas = np.zeros((side, side), np.uint8)
    for _ in range(rng.integers(1, 4)):
        centre = (int(rng.integers(side)), int(rng.integers(side)))
        axes = (int(rng.integers(side // 12, side // 4)), int(rng.integers(side // 12, side // 4)))
        cv2.ellipse(canvas, centre, axes, float(rng.uniform(0, 180)), 0, 360, 1, -1)
    for _ in range(rng.integers(0, 4)):
        ends = [(int(x), int(y)) for x, y in rng.integers(0, side, (2, 2))]
        cv2.line(canvas, ends[0], ends[1], 1, int(rng.integers(2, max(3, side // 12))))
    return canvas > 0
