"""DnCNN (Zhang, Zuo, Chen, Meng, Zhang 2017, arXiv 1608.03981): the noise is what is learned."""

from __future__ import annotations

import torch
from torch import nn

from fedzda.base import StrictConfig
from fedzda.vision.restoration.config import DnCNNConfig
from fedzda.vision.restoration.layers import conv3, with_map
from fedzda.vision.restoration.networks.base import RestorationModel


class DnCNN(RestorationModel):
    """A chain of 3x3 convolutions; its output is taken from the image.

    Args:
        config: Depth, width, norm.
        channels: C of the images.
    """

    Config = DnCNNConfig

    def __init__(self, config: StrictConfig, channels: int) -> None:
        super().__init__(config, channels)
        assert isinstance(config, DnCNNConfig)
        self.channels, width = channels, config.channels
        layers: list[nn.Module] = [conv3(with_map(channels, config.noise_map), width), nn.ReLU()]
        for _ in range(config.depth - 2):
            if config.norm == "batch":
                plain = nn.Conv2d(width, width, 3, padding=1, bias=False)
                layers += [plain, nn.BatchNorm2d(width), nn.ReLU()]
            else:
                layers += [conv3(width, width), nn.ReLU()]
        layers.append(conv3(width, channels))
        self.noise = nn.Sequential(*layers)
        convolutions = [layer for layer in self.noise if isinstance(layer, nn.Conv2d)]
        for layer in convolutions:
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        if config.start == "identity":
            for layer in convolutions[1:-1]:
                nn.init.dirac_(layer.weight)
            nn.init.zeros_(convolutions[-1].weight)

    def forward(self, x_NCHW: torch.Tensor) -> torch.Tensor:
        """See :class:`RestorationModel`."""
        noise: torch.Tensor = self.noise(x_NCHW)
        return x_NCHW[:, : self.channels] - noise
