"""Build the model, the task and the strategy that a configuration names."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from flwr.serverapp.strategy import Strategy

from fedzda.base import ImageSpec, StrictConfig, Synthesizer, UserError, stream
from fedzda.platform import plugins
from fedzda.platform.config import SimulationConfig, Slot, TargetConfig, chosen_class
from fedzda.platform.data.dealing import dealt, image_of

if TYPE_CHECKING:
    from torch import nn


def build_model(config: SimulationConfig, image: ImageSpec) -> nn.Module:
    """A model with the initial weights of the run, a function of ``seed`` only.

    A built-in is made by ``Class.build(block, image)``, a user's by ``Class(**args)``.

    Raises:
        UserError: it cannot be built, or is no ``torch.nn.Module``.
    """
    import torch
    from torch import nn

    low, high = (int(word) for word in stream(config.seed, "model").generate_state(2))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(low << 31 ^ high)
        model = _build("models", config.model, "build", image)
        if config.scenario is not None:
            model = plugins.load("scenarios", config.scenario.name)(model, config.scenario, image)
        forms = config.devices.variants()
        for extend in dict.fromkeys(form.extends for form in forms if form.extends):
            asking = [form for form in forms if form.extends == extend]
            model = plugins.import_target(extend)(model, image, asking)
    if not isinstance(model, nn.Module):
        raise UserError(f"model must be a torch.nn.Module, found {type(model).__name__}.")
    return model


def build_architecture(block: StrictConfig, image: ImageSpec) -> nn.Module:
    """A further model beside the run's own; weights from torch's global stream.

    Args:
        block: Its configuration, as under ``model:``.
        image: The images of the run.

    Raises:
        UserError: it cannot be built, or is no ``torch.nn.Module``.
    """
    from torch import nn

    model = _build("models", block, "build", image)
    if not isinstance(model, nn.Module):
        raise UserError(f"an architecture must be a torch.nn.Module, found {type(model).__name__}.")
    return model


def model_from(config: SimulationConfig, folder: Path, arrays: dict[str, np.ndarray]) -> nn.Module:
    """The run's model with given weights, in eval mode."""
    import torch

    federation = dealt(config, folder)
    model = build_model(config, image_of(federation))
    model.load_state_dict({name: torch.from_numpy(value) for name, value in arrays.items()})
    return model.eval()


def build_task(config: SimulationConfig, image: ImageSpec) -> Any:
    """The task of the run; a user's is made by ``Class(image=…, **args)``."""
    if isinstance(config.task, TargetConfig):
        return _call(config.task, image=image)
    return _build("tasks", config.task, None, image)


def build_strategy(config: SimulationConfig) -> Strategy:
    """The strategy of the run, inside that of ``privacy:`` if there is one.

    A user's Flower strategy is made by ``Class(**args)``.
    """
    strategy = _build("strategies", config.strategy, None)
    if not isinstance(strategy, Strategy):
        raise UserError(
            f"strategy must be a flwr.serverapp.strategy.Strategy, found {type(strategy).__name__}."
        )
    if config.privacy is not None:
        private: Strategy = _build("privacy", config.privacy, None, strategy)
        return private
    return strategy


def build_synthesizer(config: dict[str, Any]) -> Synthesizer:
    """The synthesizer that a configuration (plain data) names."""
    block = chosen_class(Slot("synthesizers"), config).model_validate(config)
    made: Synthesizer = _build("synthesizers", block, None)
    return made


def _build(kind: str, block: StrictConfig, maker: str | None, *arguments: Any) -> Any:
    if isinstance(block, TargetConfig):
        return _call(block)
    name: str = block.name  # type: ignore[attr-defined]
    component = plugins.load(kind, name)
    make = getattr(component, maker) if maker else component
    return make(block, *arguments)


def _call(block: TargetConfig, **extra: Any) -> Any:
    """Call the user's target; its complaint about arguments is the user's to read."""
    target = plugins.import_target(block.target)
    try:
        return target(**block.args, **extra)
    except TypeError as error:
        raise UserError(
            f"target '{block.target}' cannot be called with {block.args}: {error}"
        ) from error
