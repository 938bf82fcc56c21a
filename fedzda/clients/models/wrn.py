"""Wide residual networks (Zagoruyko and Komodakis 2016, arXiv 1605.07146), pre-activation form
without dropout. On CIFAR-10: WRN-16-1 has 175,066 parameters, WRN-40-2 has 2,243,546.
"""

from __future__ import annotations

import torch
from torch import nn

from fedzda.clients.models.config import DeepNorm, WRN161Config, WRN402Config
from fedzda.clients.models.deep import DeepModel, kaiming_convolutions
from fedzda.clients.models.layers import norm_2d


class PreActivationBlock(nn.Module):
    """Normalisation and ReLU before each of two 3x3 convolutions.

    A shortcut that changes shape is a 1x1 convolution of the *activated* input, as in the
    authors' networks.
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int, norm: DeepNorm) -> None:
        super().__init__()
        self.norm1 = norm_2d(norm, in_channels)
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride, padding=1, bias=False)
        self.norm2 = norm_2d(norm, out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        self.shortcut: nn.Conv2d | None = None
        if stride != 1 or in_channels != out_channels:
            self.shortcut = nn.Conv2d(in_channels, out_channels, 1, stride, bias=False)

    def forward(self, x_NCHW: torch.Tensor) -> torch.Tensor:
        """``(N, C, H, W)`` to ``(N, out, H/stride, W/stride)``."""
        active = torch.relu(self.norm1(x_NCHW))
        out: torch.Tensor = self.conv2(torch.relu(self.norm2(self.conv1(active))))
        return out + (x_NCHW if self.shortcut is None else self.shortcut(active))


class WideResNet(DeepModel):
    """Stem of 16 channels, three stages of 16, 32 and 64 times ``widen`` channels.

    Args:
        in_channels: Channels of the images.
        num_classes: Number of logits.
        depth: Weighted layers, ``6 n + 4``.
        widen: Channel factor.
        norm: ``batch`` or ``group``.
    """

    def __init__(
        self, in_channels: int, num_classes: int, depth: int, widen: int, norm: DeepNorm = "batch"
    ) -> None:
        super().__init__()
        if (depth - 4) % 6:
            raise ValueError(f"depth of a wide ResNet must be 6 n + 4 (got {depth})")
        self.stem = nn.Conv2d(in_channels, 16, 3, padding=1, bias=False)
        blocks: list[nn.Module] = []
        before = 16
        for stage in range(3):
            after = 16 * widen * 2**stage
            for block in range((depth - 4) // 6):
                stride = 2 if stage > 0 and block == 0 else 1
                blocks.append(PreActivationBlock(before, after, stride, norm))
                before = after
        self.blocks = nn.Sequential(*blocks)
        self.norm = norm_2d(norm, before)
        self.classifier = nn.Linear(before, num_classes)
        kaiming_convolutions(self)

    def forward(self, x_NCHW: torch.Tensor) -> torch.Tensor:
        """Logits ``(N, num_classes)`` of normalised images."""
        x_NCHW = torch.relu(self.norm(self.blocks(self.stem(x_NCHW))))
        logits: torch.Tensor = self.classifier(x_NCHW.mean(dim=(2, 3)))
        return logits


class WRN161(WideResNet):
    """WRN-16-1.

    Args:
        in_channels: Channels of the images.
        num_classes: Number of logits.
        norm: ``batch`` or ``group``.
    """

    Config = WRN161Config

    def __init__(self, in_channels: int, num_classes: int, norm: DeepNorm = "batch") -> None:
        super().__init__(in_channels, num_classes, 16, 1, norm)


class WRN402(WideResNet):
    """WRN-40-2; arguments as :class:`WRN161`."""

    Config = WRN402Config

    def __init__(self, in_channels: int, num_classes: int, norm: DeepNorm = "batch") -> None:
        super().__init__(in_channels, num_classes, 40, 2, norm)
