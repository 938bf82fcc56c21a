"""Configuration of devices (imports neither torch nor Flower)."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, SerializeAsAny, model_validator

from fedzda.base import StrictConfig
from fedzda.platform.config import DevicesConfig, SimulationConfig, VariantConfig
from fedzda.platform.config.problems import KEY_SIMILARITY, suggestion
from fedzda.platform.devices.shipped import SHIPPED
from fedzda.platform.devices.variant_block import variant_config


class UniformDevices(DevicesConfig):
    """All clients run the full model on equal devices that are always there; no virtual clock."""

    name: Literal["uniform"] = "uniform"


class ProfileConfig(StrictConfig):
    """A class of devices in numbers."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,31}$")
    """What tables call it."""
    compute: float = Field(gt=0)
    """Multiply-adds per second that it reaches in training."""
    inference: float | None = Field(default=None, gt=0)
    """Multiply-adds per second without gradients; left out: as in training."""
    memory: float = Field(gt=0)
    """Bytes of memory for the model: its weights and their gradients must fit."""
    uplink: float = Field(gt=0)
    """Bits per second that it sends."""
    downlink: float = Field(gt=0)
    """Bits per second that it receives."""
    compute_sigma: float = Field(default=0.0, ge=0)
    """Its clients' compute is log-normal: ``compute`` is the median, this the standard deviation of
    the logarithm."""
    bandwidth_sigma: float = Field(default=0.0, ge=0)
    """The same for both directions of the link, which share one factor."""


def _known(value: Any) -> Any:
    """A shipped profile in the place of its name."""
    if not isinstance(value, str):
        return value
    if value not in SHIPPED:
        raise ValueError(
            f"no shipped profile is called '{value}'."
            f"{suggestion(value, SHIPPED, KEY_SIMILARITY)} Shipped: {', '.join(SHIPPED)}. Or give "
            "numbers: {name, compute, memory, uplink, downlink}"
        )
    return {"name": value, **SHIPPED[value]}


class AlwaysConfig(StrictConfig):
    """There at any time."""

    name: Literal["always"] = "always"


class DiurnalConfig(StrictConfig):
    """There for some hours of every day, for example while it is charged at night. The defaults are
    our choice."""

    name: Literal["diurnal"] = "diurnal"
    start: float = Field(default=22.0, ge=0, lt=24)
    """Hour of the day at which the window opens."""
    hours: float = Field(default=8.0, gt=0, le=24)
    """Length of the window."""
    jitter: float = Field(default=2.0, ge=0)
    """Standard deviation in hours of a client's own shift of the window, the same on all days."""


class TraceConfig(StrictConfig):
    """There as a trace file says."""

    name: Literal["trace"] = "trace"
    path: str
    """JSON or CSV file in FedScale's layout (docs/guides/devices.md); client k of this profile has
    entry k modulo their number. A relative path starts at the YAML file."""


class DeviceConfig(StrictConfig):
    """A share of the clients and what they have."""

    profile: Annotated[
        ProfileConfig, BeforeValidator(_known, json_schema_input_type=str | ProfileConfig)
    ]
    """Name of a shipped profile, or its numbers."""
    share: float = Field(gt=0, le=1)
    """Share of all clients; the shares sum to 1."""
    variant: Annotated[
        SerializeAsAny[VariantConfig],
        BeforeValidator(variant_config, json_schema_input_type=str | dict[str, Any]),
    ] = Field(default="full")  # type: ignore[assignment]
    """Which form of the model they run: a name, a name and its settings, or a class of your own,
    ``{target: package.module:Name, args: {…}}`` (docs/guides/variants.md)."""
    availability: Annotated[
        AlwaysConfig | DiurnalConfig | TraceConfig, Field(discriminator="name")
    ] = AlwaysConfig()
    """When they can take part. One that is away before it is done is lost for the round."""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Chance that a client that was asked fails on the way, in every round."""


class ProfilesConfig(DevicesConfig):
    """Shares of the clients have devices of different speed; a virtual clock runs."""

    clock = True

    name: Literal["profiles"] = "profiles"
    profiles: list[DeviceConfig] = Field(min_length=1)
    """Who has what; shares are exact up to one client."""
    deadline: float | None = Field(default=None, gt=0)
    """Virtual seconds after which a round ends without those that are not done; left out: none."""
    over_commit: float = Field(default=0.0, ge=0)
    """Ask this share of clients more than ``clients_per_round`` and use those that are done
    first (Bonawitz et al. 2019 ask 30 % more)."""
    train_factor: float = Field(default=3.0, gt=0)
    """Cost of a training step in forward passes; 3: the backward pass takes two (FedScale)."""
    start_hour: float = Field(default=0.0, ge=0, lt=24)
    """Hour of the day at which the first round begins."""

    @model_validator(mode="after")
    def _shares(self) -> ProfilesConfig:
        total = math.fsum(entry.share for entry in self.profiles)
        if abs(total - 1.0) > 1e-6:
            raise ValueError(f"the shares of all profiles must sum to 1 (got {total:g})")
        names = Counter(entry.profile.name for entry in self.profiles)
        for name, count in names.items():
            if count > 1:
                raise ValueError(
                    f"{count} entries are called '{name}', so that tables could not tell them "
                    "apart. Write the numbers of one out and give it a name of its own"
                )
        return self

    def variants(self) -> list[VariantConfig]:
        """The form of every entry, and after these all that may be chosen for one: the global model
        is prepared for whatever is chosen, and so is a function of the file alone."""
        own = [entry.variant for entry in self.profiles]
        return [*own, *(form for variant in own for form in variant.candidates())]

    def problems_in(self, whole: SimulationConfig) -> Iterable[tuple[str, str]]:
        """Forms of the model that strategy, scenario or uplink cannot live with."""
        for number, entry in enumerate(self.profiles):
            own, key = entry.variant, f"devices.profiles.{number}.variant"
            sentences = list(own.problems_in(whole))
            for form in own.candidates():
                sentences += form.problems_in(whole)
                sentences += self._company(form, f"'{key}' may choose", whole)
            if not own.candidates():
                sentences += self._company(own, f"'{key}' is", whole)
            for sentence in dict.fromkeys(sentences):
                yield key, sentence

    def _company(self, form: VariantConfig, said: str, whole: SimulationConfig) -> Iterable[str]:
        """Broken rules between a form, those of other devices, scenario and strategy."""
        others = [own for own in self.variants() if own.trains and own.name != form.name]
        others = [own for own in others if not own.candidates()]
        if form.alone and others:
            first = others[0]
            known = any(entry.variant is first for entry in self.profiles)
            company = "other devices train" if known else "devices may train"
            yield (
                f"{said} '{form.name}', and {company} '{first.name}', which has no part in what "
                f"'{form.name}' adds to the model. Give all devices that train variant "
                f"'{form.name}'."
            )
        if whole.scenario is not None and form.name not in ("full", "excluded"):
            yield (
                f"{said} '{form.name}', and a 'scenario' changes the head of the model in every "
                "phase. Set it to 'full' or 'excluded', or leave scenario out."
            )
        if not form.plain_training and not whole.strategy.variants:
            yield (
                f"{said} '{form.name}', and strategy '{whole.strategy.name}' does more with the "
                "clients' models than to average what each has trained. Set strategy.name to "
                "'fed-avg' or 'fed-prox', or the variant to 'full'."
            )
