"""Which form of the model every class of devices runs, chosen before a run starts.

``auto`` is resolved here: of the forms that it may be, the first one that fits the profile's memory
and, if there is one, the deadline. A profile that none fits takes no part in training.

What a form adds to the global model stands there whether it is chosen or not, so that the model is
the same for whoever builds it from the file.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from fedzda.base import Cost, ImageSpec, UserError, Variant
from fedzda.platform import plugins
from fedzda.platform.config import SimulationConfig, UplinkConfig, VariantConfig
from fedzda.platform.config.checks import block_checks
from fedzda.platform.data.apportion import Ints
from fedzda.platform.devices.config import ProfileConfig, ProfilesConfig
from fedzda.platform.devices.fleet import assigned
from fedzda.platform.devices.variant_block import variant_class
from fedzda.platform.devices.work import samples_seen
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

    work = _round_of(config, devices, model, sizes)
    found = []
    for entry in devices.profiles:
        rungs = [form(wanted) for wanted in entry.variant.candidates()]
        settled = entry.variant.settled
        chosen = _best(rungs, entry.profile, work) if settled is None else form(settled)
        found.append(chosen or form(plugins.config_class("variants", _EXCLUDED)()))
    _check_company(config, devices, found)
    _check_trainers(config, devices, found, len(sizes))
    return found


@dataclass(frozen=True)
class _Round:
    """A round of a client with the median of samples, as a deadline sees it.

    Attributes:
        passes: Forward passes of one sample that local training is worth.
        bytes: Size of the global model.
        parameters: Its trained values.
        uplink: Compression of updates; None: none.
        deadline: In seconds; inf: none.
    """

    passes: float
    bytes: int
    parameters: int
    uplink: UplinkConfig | None
    deadline: float

    def sec(self, form: Form, profile: ProfileConfig) -> float:
        """What it takes on a device of median speed; a device that trains every entry of the global
        model receives and sends all of it, however small its form is in a test."""
        cost = form.cost
        down, num = (
            (self.bytes, self.parameters) if form.config.whole else (cost.bytes, cost.parameters)
        )
        up = down if self.uplink is None else down - 4 * num + self.uplink.encoded_bytes(num)
        transfer = 8 * down / profile.downlink + 8 * up / profile.uplink
        return transfer + form.training_macs * self.passes / profile.compute

    def allows(self, form: Form, profile: ProfileConfig) -> bool:
        """Whether a form fits memory and, where its devices train, the deadline."""
        if form.config.name == _EXCLUDED:
            return True
        if form.needed_bytes > profile.memory:
            return False
        return not form.config.trains or self.sec(form, profile) <= self.deadline


def _round_of(
    config: SimulationConfig, devices: ProfilesConfig, model: nn.Module, sizes: Ints
) -> _Round:
    samples = float(samples_seen(np.array([np.median(sizes)]), config.local)[0])
    return _Round(
        passes=samples * devices.train_factor,
        bytes=model_bytes(model.state_dict()),
        parameters=sum(weight.numel() for weight in model.parameters()),
        uplink=config.uplink,
        deadline=math.inf if devices.deadline is None else devices.deadline,
    )


def _best(forms: list[Form], profile: ProfileConfig, work: _Round) -> Form | None:
    """The first that fits memory and deadline."""
    for form in forms:
        if work.allows(form, profile):
            return form
    last = forms[-1]
    sec = f" and {work.sec(last, profile):.4g} s a round" if last.config.trains else ""
    _log.warning(
        "devices of profile '%s' take no part in training: no form fits them, and the last one, "
        "%s, needs %s bytes%s; the profile has %s bytes, the deadline is %s.",
        profile.name,
        last.title,
        f"{last.needed_bytes:,}",
        sec,
        f"{profile.memory:,.0f}",
        "none" if work.deadline == math.inf else f"{work.deadline:g} s",
    )
    return None


def _check_company(config: SimulationConfig, devices: ProfilesConfig, forms: list[Form]) -> None:
    """What was chosen must keep the rules that hold for forms written by hand: which device has
    what could not be known when the file was read."""
    if not any(entry.variant.candidates() for entry in devices.profiles):
        return
    chosen = _with_variants(config, [form.config for form in forms])
    told = ", ".join(
        f"{entry.profile.name}: {form.title}"
        for entry, form in zip(devices.profiles, forms, strict=True)
    )
    sentences = [problem.sentence for problem in block_checks(chosen)]
    if sentences:
        raise UserError(*(f"with the forms chosen ({told}), {own}" for own in sentences))


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
            "profile, or none takes part. Raise memory or deadline, or add smaller ones to "
            "'ladder' or 'forms'."
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
    pairs = zip(devices.profiles, forms, strict=True)
    return _with_variants(config, [_told(entry.variant, form.config) for entry, form in pairs])


def _told(wanted: VariantConfig, chosen: VariantConfig) -> VariantConfig:
    """A form as workers get it. A choice of forms that add to the model stays one that has been
    made, so that workers prepare the model for those that were not chosen, too."""
    options = wanted.candidates()
    if not any(form.extends for form in options):
        return chosen
    return wanted.model_copy(update={"take": options.index(chosen) if chosen in options else -1})


def _with_variants(config: SimulationConfig, variants: list[VariantConfig]) -> SimulationConfig:
    devices: Any = config.devices
    entries = [
        entry.model_copy(update={"variant": variant})
        for entry, variant in zip(devices.profiles, variants, strict=True)
    ]
    return config.model_copy(update={"devices": devices.model_copy(update={"profiles": entries})})


def model_bytes(model: Mapping[str, Any]) -> int:
    """Size of all arrays of a model."""
    return sum(int(value.nbytes) for value in model.values())
