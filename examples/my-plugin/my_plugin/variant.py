"""A form of the model for weak devices: they train its last layers alone."""

from dataclasses import replace
from typing import Literal

from fedzda.base import Cost, Turn
from fedzda.clients.variants.full import Arrays, Form
from fedzda.platform.config import VariantConfig
from pydantic import Field
from torch import nn


class LastLayersConfig(VariantConfig):
    """The other layers come from devices that train them."""

    name: Literal["my-plugin-last"] = "my-plugin-last"
    arrays: int = Field(default=2, ge=1)
    """How many arrays of weights are trained; 2: those of the last linear layer."""

    @property
    def whole(self) -> bool:
        """No: parts of the global model are not trained."""
        return False

    @property
    def plain_training(self) -> bool:
        """No: training is not that of the full model."""
        return False


class LastLayers(Form):
    """What it does not say is as in the full model."""

    Config = LastLayersConfig

    def build(self, model: nn.Module, turn: Turn) -> nn.Module:
        """The device's copy of the global model, of which only the end learns."""
        device_model = super().build(model, turn)
        for weight in list(device_model.parameters())[: -self.config.arrays]:
            weight.requires_grad = False
        return device_model

    def to_global(self, device_model: nn.Module, turn: Turn) -> tuple[Arrays, Arrays]:
        """Arrays under their global names; those left out count as not trained."""
        arrays, coverage = super().to_global(device_model, turn)
        trained = [name for name, value in device_model.named_parameters() if value.requires_grad]
        return {name: arrays[name] for name in trained}, coverage

    def cost(self) -> Cost:
        """Training holds gradients of the end alone."""
        ends, full = list(self.template.parameters())[-self.config.arrays :], super().cost()
        return replace(full, training_bytes=full.bytes + sum(end.nbytes for end in ends))
