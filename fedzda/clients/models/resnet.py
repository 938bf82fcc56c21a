"""Residual networks for small images (He et al. 2016, arXiv 1512.03385).

``resnet-8`` and ``resnet-20`` are the CIFAR networks of section 4.2 (6n+2 layers, 16/32/64
channels) with the paper's parameter-free shortcuts ("option A"): 75,290 and 269,722 parameters on
CIFAR-10. ``resnet-18`` is the ImageNet network with a 3x3 stem of stride 1 and no first pooling,
as is usual for CIFAR: 11,173,962 parameters. ``resnet-32`` is the network of LUCIR (Hou et al.,
CVPR 2019): 1x1 convolutions with BatchNorm as shortcuts, and no ReLU after the last block, so that
features may be negative; 466,906 parameters on CIFAR-10, 1,232 BatchNorm channels.
"""

from __future__ import annotations

import torch
from torch import nn

from fedzda.clients.models.config import (
    DeepNorm,
    ResNet8Config,
    ResNet18Config,
    ResNet20Config,
    ResNet32Config,
)
from fedzda.clients.models.deep import DeepModel, kaiming_convolutions
from fedzda.clients.models.layers import norm_2d


class PadShortcut(nn.Module):
    """Option A: every ``stride``-th pixel, new channels filled with zeros; no parameters."""

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.new_channels = out_channels - in_channels

    def forward(self, x_NCHW: torch.Tensor) -> torch.Tensor:
        """``(N, C, H, W)`` to ``(N, C + new, ceil(H/stride), ceil(W/stride))``."""
        x_NCHW = x_NCHW[:, :, :: self.stride, :: self.stride]
        before = self.new_channels // 2
        pad = (0, 0, 0, 0, before, self.new_channels - before)
        return nn.functional.pad(x_NCHW, pad)


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut; ReLU after the sum.

    Args:
        in_channels: Channels of the input.
        out_channels: Channels of the output.
        stride: Stride of the first convolution and of the shortcut.
        norm: ``batch`` or ``group``.
        project: Use a 1x1 convolution for a shortcut that changes shape ("option B"); otherwise
            :class:`PadShortcut`.
        relu: Whether a ReLU follows the sum.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        stride: int,
        norm: DeepNorm,
        project: bool,
        relu: bool = True,
    ) -> None:
        super().__init__()
        self.relu = relu
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride, padding=1, bias=False)
        self.norm1 = norm_2d(norm, out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        self.norm2 = norm_2d(norm, out_channels)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or in_channels != out_channels:
            self.shortcut = (
                nn.Sequential(
                    nn.Conv2d(in_channels, out_channels, 1, stride, bias=False),
                    norm_2d(norm, out_channels),
                )
                if project
                else PadShortcut(in_channels, out_channels, stride)
            )

    def forward(self, x_NCHW: torch.Tensor) -> torch.Tensor:
        """``(N, C, H, W)`` to ``(N, out, H/stride, W/stride)``."""
        out = torch.relu(self.norm1(self.conv1(x_NCHW)))
        out = self.norm2(self.conv2(out))
        out = out + self.shortcut(x_NCHW)
        return torch.relu(out) if self.relu else out


class ResNet(DeepModel):
    """3x3 stem, stages of basic blocks, global average, linear classifier.

    ``stages`` names the last module of every stage.

    The stages halve the map, all but the first. Any image size works; below 8 pixels the last
    maps shrink to one pixel.

    Args:
        in_channels: Channels of the images.
        num_classes: Number of logits.
        channels: Channels of each stage.
        blocks: Blocks per stage.
        norm: ``batch`` or ``group``.
        project: Shortcuts with a 1x1 convolution (see :class:`BasicBlock`).
        last_relu: Whether a ReLU follows the last block.
    """

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        channels: tuple[int, ...],
        blocks: int,
        norm: DeepNorm,
        project: bool,
        last_relu: bool = True,
    ) -> None:
        super().__init__()
        self.stem = nn.Conv2d(in_channels, channels[0], 3, padding=1, bias=False)
        self.norm = norm_2d(norm, channels[0])
        stages: list[nn.Module] = []
        before = channels[0]
        for index, after in enumerate(channels):
            for block in range(blocks):
                stride = 2 if index > 0 and block == 0 else 1
                last = index == len(channels) - 1 and block == blocks - 1
                relu = last_relu or not last
                stages.append(BasicBlock(before, after, stride, norm, project, relu))
                before = after
        self.blocks = nn.Sequential(*stages)
        self.stages = [f"blocks.{(stage + 1) * blocks - 1}" for stage in range(len(channels))]
        self.classifier = nn.Linear(before, num_classes)
        kaiming_convolutions(self)

    def forward(self, x_NCHW: torch.Tensor) -> torch.Tensor:
        """Logits ``(N, num_classes)`` of normalised images."""
        x_NCHW = torch.relu(self.norm(self.stem(x_NCHW)))
        logits: torch.Tensor = self.classifier(self.blocks(x_NCHW).mean(dim=(2, 3)))
        return logits


class ResNet8(ResNet):
    """CIFAR ResNet with one block per stage.

    Args:
        in_channels: Channels of the images.
        num_classes: Number of logits.
        norm: ``batch`` or ``group``.
    """

    Config = ResNet8Config

    def __init__(self, in_channels: int, num_classes: int, norm: DeepNorm = "batch") -> None:
        super().__init__(in_channels, num_classes, (16, 32, 64), 1, norm, project=False)


class ResNet20(ResNet):
    """CIFAR ResNet with three blocks per stage; arguments as :class:`ResNet8`."""

    Config = ResNet20Config

    def __init__(self, in_channels: int, num_classes: int, norm: DeepNorm = "batch") -> None:
        super().__init__(in_channels, num_classes, (16, 32, 64), 3, norm, project=False)


class ResNet32(ResNet):
    """CIFAR ResNet with five blocks per stage, projections and no last ReLU; arguments as above."""

    Config = ResNet32Config

    def __init__(self, in_channels: int, num_classes: int, norm: DeepNorm = "batch") -> None:
        channels = (16, 32, 64)
        super().__init__(in_channels, num_classes, channels, 5, norm, project=True, last_relu=False)


class ResNet18(ResNet):
    """ResNet-18 with a CIFAR stem and projection shortcuts; arguments as :class:`ResNet8`."""

    Config = ResNet18Config

    def __init__(self, in_channels: int, num_classes: int, norm: DeepNorm = "batch") -> None:
        super().__init__(in_channels, num_classes, (64, 128, 256, 512), 2, norm, project=True)
