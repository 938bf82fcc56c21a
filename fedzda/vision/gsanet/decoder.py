"""From the head's map and the low-level map of the feature network to logits.

The plain decoder is that of DeepLabv3+ (arXiv 1802.02611, section 3.1). The selective one lets
every pixel choose between context and detail by condensation and diffusion (our reconstruction).

N images, C channels, H height, W width, K classes.
"""

from __future__ import annotations

import torch
from torch import nn

from fedzda.vision.gsanet.aspp import condensed_channels
from fedzda.vision.gsanet.config import GSANetConfig
from fedzda.vision.gsanet.layers import convolution, resize, separable
from fedzda.vision.gsanet.selective import SelectiveFusion

_CLASSIFIER_STD = 0.01


class Decoder(nn.Module):
    """Joins both maps at the low-level map's size, refines, classifies.

    Args:
        low: Channels of the low-level map.
        num_classes: Number of logits per pixel.
        config: Channels and kind of decoder.
    """

    def __init__(self, low: int, num_classes: int, config: GSANetConfig) -> None:
        super().__init__()
        norm, reduced, width = config.norm, config.low_channels, config.decoder_channels
        self.reduce = convolution(low, reduced, 1, norm)
        self.selective = config.decoder == "selective"
        if self.selective:
            self.project_low = convolution(reduced, width, 1, norm)
            self.project_high = convolution(config.channels, width, 1, norm)
            condensed = condensed_channels(config, width)
            self.fusion = SelectiveFusion(
                2, width, condensed, norm, config.condense, config.diffuse, config.diffuse_std
            )
        joined = width if self.selective else reduced + config.channels
        self.refine = nn.Sequential(separable(joined, width, norm), separable(width, width, norm))
        self.classifier = nn.Conv2d(width, num_classes, 1)

    def initialise(self) -> None:
        """Small logits at first."""
        nn.init.normal_(self.classifier.weight, std=_CLASSIFIER_STD)

    def forward(self, low_NCHW: torch.Tensor, high_NCHW: torch.Tensor) -> torch.Tensor:
        """Logits ``(N, K, H, W)`` at the size of ``low_NCHW``."""
        low = self.reduce(low_NCHW)
        high = resize(high_NCHW, (low_NCHW.shape[2], low_NCHW.shape[3]))
        if self.selective:
            joined = self.fusion([self.project_low(low), self.project_high(high)])
        else:
            joined = torch.cat([high, low], dim=1)
        logits: torch.Tensor = self.classifier(self.refine(joined))
        return logits
