"""Clients with a model of their own architecture.

The global model holds all architectures (:mod:`fedzda.platform.devices.architectures`). A client
trains one of them and covers its arrays alone, so that the server averages each among the clients
that have it: FedAvg by architecture. What they learn from each other is up to the strategy
(``ensemble-distillation``). Limit case: one architecture for all is FedAvg, bit for bit.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from fedzda.base import ImageSpec, Turn, UserError
from fedzda.clients.variants.architecture_config import ArchitectureConfig
from fedzda.clients.variants.full import Arrays, Form
from fedzda.clients.weights import snapshot
from fedzda.platform.config import VariantConfig
from fedzda.platform.devices.architectures import (
    ARCHITECTURES,
    architecture_of,
    global_arrays,
    own_arrays,
)
from fedzda.platform.parts import build_architecture


class Architecture(Form):
    """One of the architectures of the global model; see the module.

    Args:
        config: Which one.
        model: The global model, with all architectures; not changed.
        image: The images of the run.
    """

    Config = ArchitectureConfig
    config: ArchitectureConfig

    def __init__(self, config: ArchitectureConfig, model: nn.Module, image: ImageSpec) -> None:
        super().__init__(config, architecture_of(model, config.architecture), image)

    def build(self, model: nn.Module, turn: Turn) -> nn.Module:
        """See :class:`fedzda.base.Variant`."""
        made = copy.deepcopy(self.template)
        arrays = own_arrays(model.state_dict(), self.config.architecture)
        with torch.no_grad():
            for name, value in made.state_dict().items():
                value.copy_(arrays[name])
        return made

    def to_global(self, device_model: nn.Module, turn: Turn) -> tuple[Arrays, Arrays]:
        """See :class:`fedzda.base.Variant`: arrays of other architectures are left out."""
        coverage: Arrays = {}
        return global_arrays(snapshot(device_model), self.config.architecture), coverage


class Others(nn.Module):
    """The architectures beside the run's own, under their titles.

    Passes on what it gets: a ``Sequential`` that holds it gives what it gave before.
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``x``."""
        return x


def with_architectures(
    model: nn.Module, image: ImageSpec, forms: Sequence[VariantConfig]
) -> nn.Module:
    """Add the architectures that devices bring to the run's own model, in place.

    Args:
        model: The run's own; its forward pass stays as it is.
        image: The images it takes.
        forms: The devices' forms, by class.

    Raises:
        UserError: An architecture cannot be built, does not take the run's images, or gives
            something of another shape than the run's own.
    """
    others, expected = Others(), _given(model, image)
    for form in forms:
        assert isinstance(form, ArchitectureConfig)
        if form.model is None or form.title in others._modules:
            continue
        made = build_architecture(form.model, image)
        _check(made, form.title, image, expected)
        others._modules[form.title] = made
    if not others._modules:
        return model
    if hasattr(model, ARCHITECTURES):
        raise UserError(
            f"the model has an attribute '{ARCHITECTURES}', where those of other devices would "
            "stand. Rename it."
        )
    model.add_module(ARCHITECTURES, others)
    return model


def _check(model: nn.Module, title: str, image: ImageSpec, expected: Any) -> None:
    """Refuse what the run's task could not be tested on."""
    try:
        found = _given(model, image)
    except (RuntimeError, ValueError, IndexError) as error:
        reason = str(error).partition("\n")[0].rstrip(".")
        raise UserError(
            f"the architecture '{title}' cannot take images of shape {image.shape} (channels, "
            f"height, width): {reason}. Choose one for these images."
        ) from None
    if found != expected:
        raise UserError(
            f"the architecture '{title}' gives {found} for two images, and the simulation's own "
            f"model {expected}. Choose one for {image.num_classes} classes and the same task."
        )


def _given(model: nn.Module, image: ImageSpec) -> Any:
    """Shape of what a model makes of two black images, in eval mode; else its type."""
    modes = [(module, module.training) for module in model.modules()]
    with torch.no_grad():
        output = model.eval()(torch.zeros((2, *image.shape)))
    for module, training in modes:
        module.training = training
    return tuple(output.shape) if isinstance(output, torch.Tensor) else type(output).__name__
