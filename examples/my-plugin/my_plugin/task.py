"""Classification that looks at hard samples: the focal loss (Lin et al. 2017)."""

from typing import Literal

import torch
from fedzda.base import ImageSpec
from fedzda.clients.tasks.classification import Classification
from fedzda.clients.tasks.config import ClassificationConfig
from pydantic import Field
from torch import nn
from torch.nn import functional


class FocalConfig(ClassificationConfig):
    """Cross entropy times ``(1 - p) ** gamma``, where p is the probability of the right class."""

    name: Literal["my-plugin-focal"] = "my-plugin-focal"
    gamma: float = Field(default=2.0, ge=0)
    """How little well-recognised samples count; 0 is plain cross entropy."""


class FocalLoss(Classification):
    """Metrics, augmentation and checks are those of classification."""

    Config = FocalConfig

    def __init__(self, config: FocalConfig, image: ImageSpec) -> None:
        super().__init__(config, image)
        self.gamma = config.gamma

    def loss(self, model: nn.Module, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        """The mean over a batch."""
        return self.sample_losses(self.outputs(model, batch), batch).mean()

    def sample_losses(self, outputs: torch.Tensor, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        """The loss of every sample ``(N,)``."""
        entropy = functional.cross_entropy(outputs, batch["label"], reduction="none")
        return (1 - torch.exp(-entropy)) ** self.gamma * entropy
