"""What the deep classifiers share: how they are made from a configuration, and their start."""

from __future__ import annotations

from typing import Self

from torch import nn

from fedzda.base import ImageSpec, StrictConfig
from fedzda.clients.models.config import DeepConfig


class DeepModel(nn.Module):
    """A network made of the images' channels, the number of classes, and a normalisation."""

    @classmethod
    def build(cls, config: StrictConfig, image: ImageSpec) -> Self:
        """The model of a configuration block for the images of a data set."""
        assert isinstance(config, DeepConfig)
        return cls(image.shape[0], image.num_classes, config.norm)


def kaiming_convolutions(model: nn.Module) -> None:
    """Initialise the convolutions of ``model`` with He's normal rule (fan out), in place."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
