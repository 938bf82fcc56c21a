"""GSANet and DeepLabv3+: feature network, pyramid, decoder.

N images, C channels, H height, W width, K classes.
"""

from __future__ import annotations

from typing import Self

import torch
from torch import nn

from fedzda.base import ImageSpec, StrictConfig, UserError
from fedzda.vision.gsanet.aspp import ASPP
from fedzda.vision.gsanet.attention import GlobalAttention
from fedzda.vision.gsanet.config import (
    DeepLabV3PlusConfig,
    GSANetConfig,
    MobileNetEdgeConfig,
    SegmentationModelConfig,
)
from fedzda.vision.gsanet.decoder import Decoder
from fedzda.vision.gsanet.layers import initialise, resize
from fedzda.vision.gsanet.mobilenet_edge import MobileNetEdge
from fedzda.vision.gsanet.selective import SelectiveFusion
from fedzda.vision.gsanet.xception import Xception


def feature_network(config: SegmentationModelConfig, image: ImageSpec) -> MobileNetEdge | Xception:
    """The feature network of a configuration.

    Raises:
        UserError: The images are smaller than one step of the output stride.
    """
    channels, height, width = image.shape
    smallest = config.output_stride
    if min(height, width) < smallest:
        raise UserError(
            f"model.output_stride is {smallest}, which needs images of at least {smallest} pixels "
            f"on each side (got {height}x{width}). Use larger images, or set data.size to resize "
            "them."
        )
    if isinstance(config.features, MobileNetEdgeConfig):
        return MobileNetEdge(channels, config.features, config.output_stride, config.norm)
    return Xception(channels, config.features, config.output_stride, config.norm)


class GSANet(nn.Module):
    """Logits for every pixel, at the size of the image.

    Args:
        config: Every choice of the architecture.
        image: Shape and classes of the images.

    Raises:
        UserError: The images are too small for the output stride, or ``heads`` does not fit.
    """

    Config: type[StrictConfig] = GSANetConfig

    def __init__(self, config: GSANetConfig, image: ImageSpec) -> None:
        super().__init__()
        self.features = feature_network(config, image)
        self.aspp = ASPP(self.features.channels, config)
        self.decoder = Decoder(self.features.low_channels, image.num_classes, config)
        initialise(self)
        self.decoder.initialise()
        for module in self.modules():
            if isinstance(module, GlobalAttention | SelectiveFusion):
                module.initialise()

    @classmethod
    def build(cls, config: StrictConfig, image: ImageSpec) -> Self:
        """The model of a configuration block for the images of a data set."""
        assert isinstance(config, GSANetConfig)
        return cls(config, image)

    def forward(self, x_NCHW: torch.Tensor) -> torch.Tensor:
        """Logits ``(N, K, H, W)`` of normalised images ``(N, C, H, W)``."""
        low, high = self.features(x_NCHW)
        logits = self.decoder(low, self.aspp(high))
        return resize(logits, (x_NCHW.shape[2], x_NCHW.shape[3]))


class DeepLabV3Plus(GSANet):
    """GSANet without any attention: average pooling, concatenation, plain decoder."""

    Config = DeepLabV3PlusConfig

    @classmethod
    def build(cls, config: StrictConfig, image: ImageSpec) -> Self:
        """The model of a configuration block for the images of a data set."""
        assert isinstance(config, DeepLabV3PlusConfig)
        shared = {key: getattr(config, key) for key in DeepLabV3PlusConfig.model_fields}
        del shared["name"]
        plain = GSANetConfig(**shared, attention="none", fusion="concat", decoder="plain")
        return cls(plain, image)
