"""Forms that are the global model itself, and what every form shares."""

from __future__ import annotations

import copy

import numpy as np
import torch
from torch import nn

from fedzda.base import Cost, ImageSpec, Turn, UserError
from fedzda.clients.hooks.base import Hook
from fedzda.clients.variants.config import AutoConfig, ExcludedConfig, FullConfig
from fedzda.clients.variants.costs import measured
from fedzda.clients.weights import snapshot
from fedzda.platform.config import VariantConfig
from fedzda.platform.devices.architectures import architecture_of

Arrays = dict[str, np.ndarray]


class Form:
    """A :class:`fedzda.base.Variant` that is the global model; others override what differs.

    Args:
        config: Its block.
        model: The architecture; not changed.
        image: The images of the run.
    """

    personal = False

    def __init__(self, config: VariantConfig, model: nn.Module, image: ImageSpec) -> None:
        self.config, self.image, self.template = config, image, model

    def build(self, model: nn.Module, turn: Turn) -> nn.Module:
        """See :class:`fedzda.base.Variant`."""
        return copy.deepcopy(model)

    def calibrate(self, device_model: nn.Module, images_NCHW: torch.Tensor) -> None:
        """See :class:`fedzda.base.Variant`: nothing to look for."""

    def hooks(self) -> list[Hook]:
        """See :class:`fedzda.base.Variant`: none."""
        return []

    def deploy(
        self, device_model: nn.Module, images_NCHW: torch.Tensor | None, turn: Turn
    ) -> nn.Module:
        """See :class:`fedzda.base.Variant`."""
        return device_model.eval()

    def to_global(self, device_model: nn.Module, turn: Turn) -> tuple[Arrays, Arrays]:
        """See :class:`fedzda.base.Variant`: everything is covered."""
        return snapshot(device_model), {}

    def cost(self) -> Cost:
        """See :class:`fedzda.base.Variant`."""
        return measured(self.template, self.image)


class Full(Form):
    """The global model."""

    Config = FullConfig


class Excluded(Form):
    """The run's own model, on a device that does not train; other architectures that the global
    model holds are no part of it."""

    Config = ExcludedConfig

    def __init__(self, config: VariantConfig, model: nn.Module, image: ImageSpec) -> None:
        super().__init__(config, architecture_of(model, None), image)

    def build(self, model: nn.Module, turn: Turn) -> nn.Module:
        """See :class:`fedzda.base.Variant`."""
        return architecture_of(model, None)


class Auto(Form):
    """A choice of forms, made before a run starts."""

    Config = AutoConfig

    def __init__(self, config: VariantConfig, model: nn.Module, image: ImageSpec) -> None:
        raise UserError("variant 'auto' is chosen from the profile's memory when a run is built.")
