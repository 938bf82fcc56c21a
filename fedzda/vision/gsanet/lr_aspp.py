"""LR-ASPP (Howard et al. 2019, arXiv 1905.02244, figure 10): a light head for small devices.

Deviations: the gate pools the whole map instead of a 49x49 window, as public ports do, and the
low-level map is the one at a quarter of the image that the other heads use, not at an eighth.

N images, C channels, H height, W width, K classes.
"""

from __future__ import annotations

import torch
from torch import nn

from fedzda.base import ImageSpec, StrictConfig
from fedzda.vision.gsanet.config import LRASPPConfig
from fedzda.vision.gsanet.layers import convolution, initialise, resize
from fedzda.vision.gsanet.model import feature_network


class LRASPP(nn.Module):
    """1x1 convolution gated by the global mean, added to the logits of the low-level map.

    Args:
        config: Feature network and channels.
        image: Shape and classes of the images.

    Raises:
        UserError: The images are too small for the output stride.
    """

    Config = LRASPPConfig

    def __init__(self, config: LRASPPConfig, image: ImageSpec) -> None:
        super().__init__()
        self.features = feature_network(config, image)
        before, width = self.features.channels, config.channels
        self.convolution = convolution(before, width, 1, config.norm)
        self.gate = nn.Conv2d(before, width, 1, bias=False)
        self.high_classifier = nn.Conv2d(width, image.num_classes, 1)
        self.low_classifier = nn.Conv2d(self.features.low_channels, image.num_classes, 1)
        initialise(self)

    @classmethod
    def build(cls, config: StrictConfig, image: ImageSpec) -> LRASPP:
        """The model of a configuration block for the images of a data set."""
        assert isinstance(config, LRASPPConfig)
        return cls(config, image)

    def forward(self, x_NCHW: torch.Tensor) -> torch.Tensor:
        """Logits ``(N, K, H, W)`` of normalised images ``(N, C, H, W)``."""
        low, high = self.features(x_NCHW)
        gate = torch.sigmoid(self.gate(high.mean(dim=(2, 3), keepdim=True)))
        context = resize(self.convolution(high) * gate, (low.shape[2], low.shape[3]))
        logits = self.high_classifier(context) + self.low_classifier(low)
        return resize(logits, (x_NCHW.shape[2], x_NCHW.shape[3]))
