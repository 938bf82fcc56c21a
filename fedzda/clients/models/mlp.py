"""Fully connected network; with two layers of 200 units, the 2NN of McMahan et al. 2017
(arXiv 1602.05629): 199,210 parameters on MNIST.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import nn

from fedzda.base import ImageSpec, StrictConfig
from fedzda.clients.models.config import MLPConfig, Norm
from fedzda.clients.models.layers import norm_1d


class MLP(nn.Module):
    """Linear, normalisation, ReLU for each hidden layer, then a linear classifier.

    Args:
        in_channels: Channels of the images.
        num_classes: Number of logits.
        image_size: ``(height, width)``.
        hidden: Width of each hidden layer.
        norm: ``batch``, ``group`` or ``none``.
    """

    Config = MLPConfig

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        image_size: tuple[int, int],
        hidden: Sequence[int] = (200, 200),
        norm: Norm = "none",
    ) -> None:
        super().__init__()
        widths = [in_channels * image_size[0] * image_size[1], *hidden]
        layers: list[nn.Module] = [nn.Flatten()]
        for before, after in pairwise(widths):
            layers += [nn.Linear(before, after), norm_1d(norm, after), nn.ReLU()]
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Linear(widths[-1], num_classes)

    @classmethod
    def build(cls, config: StrictConfig, image: ImageSpec) -> MLP:
        """The model of a configuration block for the images of a data set."""
        assert isinstance(config, MLPConfig)
        channels, height, width = image.shape
        return cls(channels, image.num_classes, (height, width), config.hidden, config.norm)

    def forward(self, x_NCHW: torch.Tensor) -> torch.Tensor:
        """Logits ``(N, num_classes)`` of normalised images."""
        logits: torch.Tensor = self.classifier(self.features(x_NCHW))
        return logits
