"""A small convolutional network."""

from typing import Literal

import torch
from fedzda.base import ImageSpec, StrictConfig
from pydantic import Field
from torch import nn


class NetConfig(StrictConfig):
    """A convolution, BatchNorm and a linear layer."""

    name: Literal["my-plugin-net"] = "my-plugin-net"
    width: int = Field(default=8, ge=1)
    """Channels of the convolution."""


class Net(nn.Module):
    """Logits for images of any size."""

    Config = NetConfig

    def __init__(self, channels: int, num_classes: int, width: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(channels, width, 3, padding=1)
        self.norm = nn.BatchNorm2d(width)
        self.classifier = nn.Linear(width * 4, num_classes)

    @classmethod
    def build(cls, config: NetConfig, image: ImageSpec) -> "Net":
        """What fedzda calls: the block of the file, and what the images look like."""
        return cls(image.shape[0], image.num_classes, config.width)

    def forward(self, x_NCHW: torch.Tensor) -> torch.Tensor:
        """Logits ``(N, num_classes)`` of normalised images."""
        features = torch.relu(self.norm(self.convolution(x_NCHW)))
        return self.classifier(nn.functional.adaptive_avg_pool2d(features, 2).flatten(1))
