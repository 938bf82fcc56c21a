"""Which form of the model every class of devices runs, chosen before a run starts.

``auto`` is resolved here: of the forms that it may be, the first one (the largest) that fits the
profile's memory and, if there is one, the deadline. A profile that none fits takes no part in
training.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from fedzda.base import Cost, ImageSpec, UserError, Variant
from fedzda.platform import plugins
from fedzda.platform.config import SimulationConfig, VariantConfig
from fedzda.platform.data.apportion import Ints
from fedzda.platform.devices.config import DeviceConfig, ProfileConfig, ProfilesConfig
from fedzda.platform.devices.fleet import assigned
from fedzda.platform.devices.variant_block import variant_class
from fedzda.platform.parts import build_task

if TYPE_CHECKING:
    from torch import nn

_FULL, _EXCLUDED = "full", "excluded"
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Form:
    """The form of the model that a class of devices runs, and what it takes.

    Attributes:
        config: Its block.
        cost: What it takes in a test.
        passes: Forward passes of a test that the forward pass of a training step is worth.
    """

    config: VariantConfig
    cost: Cost
    passes: float = 1.0

    @property
    def title(self) -> str:
        """What tables call it."""
        return self.config.title

    @property
    def needed_bytes(self) -> int:
        """Memory that it takes: to train, or to be tested only."""
        return self.cost.training_bytes if self.config.trains else self.cost.bytes

    @property
    def training_macs(self) -> float:
        """Multiply-adds of the forward pass of a training step, for one sample."""
        return self.cost.macs * self.passes


def load_variant(config: VariantConfig, model: nn.Module, image: ImageSpec) -> Variant:
    """The form that a configuration names.

    Raises:
        UserError: The model has no such form.
    """
    made: Variant = variant_class(config)(config, model, image)
    return made


def chosen_forms(
    config: SimulationConfig, model: nn.Module, image: ImageSpec, sizes: Ints
) -> list[Form] | None:
    """The form of every profile; None where all run the full model.

    Args:
        config: The run, not yet resolved.
        model: Its model.
        image: Its images.
        sizes: ``(N,)`` training samples of the clients.

    Raises:
        UserError: The model has no such form, or too few devices can train any.
    """
    devices = config.devices
    if not isinstance(devices, ProfilesConfig):
        return None
    if all(entry.variant.name == _FULL for entry in devices.profiles):
        return None
    costs: dict[str, Cost] = {}
    task = build_task(config, image)
    given = task.given(image)

    def form(wanted: VariantConfig) -> Form:
        key = wanted.model_dump_json()
        if key not in costs:
            costs[key] = task.cost(load_variant(wanted, model, given), model)
        return Form(wanted, costs[key], task.passes(image))

    found = []
    for entry in devices.profiles:
        rungs = [form(wanted) for wanted in entry.variant.candidates()]
        chosen = _best(rungs, entry, devices, config, sizes) if rungs else form(entry.variant)
        if chosen is None:
            excluded = plugins.config_class("variants", _EXCLUDED)()
            chosen = form(excluded)
        found.append(chosen)
    _check_trainers(config, devices, found, len(sizes))
    return found


def _best(
    forms: list[Form],
    entry: DeviceConfig,
    devices: ProfilesConfig,
    config: SimulationConfig,
    sizes: Ints,
) -> Form | None:
    """The first that fits memory and deadline."""
    profile = entry.profile
    steps = 1 if config.local.steps is None else config.local.steps * config.local.batch_size
    samples = float(np.median(sizes)) * config.local.epochs if config.local.steps is None else steps
    for form in forms:
        if form.needed_bytes > profile.memory:
            continue
        seconds = _seconds(form, profile, samples * devices.train_factor, config)
        if devices.deadline is None or seconds <= devices.deadline:
            return form
    smallest = forms[-1]
    _log.warning(
        "devices of profile '%s' take no part in training: their smallest form, %s, needs %s bytes"
        " and %.4g s a round; the profile has %s bytes, the deadline is %s.",
        profile.name,
        smallest.title,
        f"{smallest.needed_bytes:,}",
        _seconds(smallest, profile, samples * devices.train_factor, config),
        f"{profile.memory:,.0f}",
        "none" if devices.deadline is None else f"{devices.deadline:g} s",
    )
    return None


def _seconds(form: Form, profile: ProfileConfig, passes: float, config: SimulationConfig) -> float:
    """What a round takes a client of median size on a device of median speed."""
    cost, up = form.cost, form.cost.bytes
    if config.uplink is not None:
        up += config.uplink.encoded_bytes(cost.parameters) - 4 * cost.parameters
    down_sec, up_sec = 8 * cost.bytes / profile.downlink, 8 * up / profile.uplink
    return down_sec + form.training_macs * passes / profile.compute + up_sec


def _check_trainers(
    config: SimulationConfig, devices: ProfilesConfig, forms: list[Form], clients: int
) -> None:
    """Somebody must train, and as many as a round asks for, in a run that trains at all."""
    if config.rounds == 0:
        return
    kind = assigned(devices, clients, config.seed)
    training = int(np.array([form.config.trains for form in forms])[kind].sum())
    wanted = config.strategy.clients_per_round or 1
    if training == 0:
        raise UserError(
            "devices: no device trains: no form of the model fits memory and deadline of any "
            "profile, or none takes part. Raise memory or deadline, or add smaller ratios to "
            "'ladder'."
        )
    if training < wanted:
        raise UserError(
            f"strategy.clients_per_round is {wanted}, but only {training} of {clients} clients "
            "have devices that can train. Lower it, or give the others a smaller form."
        )


def with_forms(config: SimulationConfig, forms: list[Form] | None) -> SimulationConfig:
    """The configuration as workers get it: nothing is left to be chosen."""
    if forms is None:
        return config
    devices: Any = config.devices
    entries = [
        entry.model_copy(update={"variant": form.config})
        for entry, form in zip(devices.profiles, forms, strict=True)
    ]
    return config.model_copy(update={"devices": devices.model_copy(update={"profiles": entries})})


def model_bytes(model: Mapping[str, Any]) -> int:
    """Size of all arrays of a model."""
    return sum(int(value.nbytes) for value in model.values())
