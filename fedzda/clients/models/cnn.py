"""The CNN of McMahan et al. 2017 (arXiv 1602.05629, section 3): two 5x5 convolutions of 32 and 64
channels, each followed by 2x2 max pooling, a linear layer of 512 units; 1,663,370 parameters on
MNIST.
"""

from __future__ import annotations

import torch
from torch import nn

from fedzda.base import ImageSpec, StrictConfig, UserError
from fedzda.clients.models.config import CNNConfig, Norm
from fedzda.clients.models.layers import norm_2d


class CNN(nn.Module):
    """Convolutions keep the size ("same" padding), pooling halves it twice.

    Args:
        in_channels: Channels of the images.
        num_classes: Number of logits.
        image_size: ``(height, width)``, each at least 4.
        norm: ``batch``, ``group`` or ``none`` (as published), after each convolution.

    Raises:
        UserError: The images are smaller than 4x4.
    """

    Config = CNNConfig

    def __init__(
        self, in_channels: int, num_classes: int, image_size: tuple[int, int], norm: Norm = "none"
    ) -> None:
        super().__init__()
        height, width = image_size
        if min(image_size) < 4:
            raise UserError(
                f"model cnn needs images of at least 4x4 pixels (got {height}x{width}). "
                "Choose model mlp."
            )
        self.features = nn.Sequential(
            nn.Conv2d(in_channels, 32, 5, padding=2),
            norm_2d(norm, 32),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(32, 64, 5, padding=2),
            norm_2d(norm, 64),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(64 * (height // 4) * (width // 4), 512),
            nn.ReLU(),
        )
        self.classifier = nn.Linear(512, num_classes)

    @classmethod
    def build(cls, config: StrictConfig, image: ImageSpec) -> CNN:
        """The model of a configuration block for the images of a data set."""
        assert isinstance(config, CNNConfig)
        channels, height, width = image.shape
        return cls(channels, image.num_classes, (height, width), config.norm)

    def forward(self, x_NCHW: torch.Tensor) -> torch.Tensor:
        """Logits ``(N, num_classes)`` of normalised images."""
        logits: torch.Tensor = self.classifier(self.features(x_NCHW))
        return logits
