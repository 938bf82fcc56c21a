"""Rules between keys of different blocks that need neither the data nor the model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from fedzda.base import StrictConfig
from fedzda.platform import plugins
from fedzda.platform.config import (
    DevicesConfig,
    ScenarioConfig,
    SimulationConfig,
    StrategyConfig,
)
from fedzda.platform.config.problems import Problem, block_at
from fedzda.platform.config.yaml_loader import KeyPath
from fedzda.platform.fairness.direction import is_share


def cross_checks(model: type[StrictConfig], raw: Mapping[str, Any]) -> Iterator[Problem]:
    """Broken rules between keys. Values of the wrong type are passed over: they have own errors.

    Args:
        model: The configuration class, specialised for ``raw``.
        raw: The data; what is left out counts with its default.
    """

    def number(*path: str) -> float | None:
        value = _value(model, raw, path)
        return value if isinstance(value, int | float) and not isinstance(value, bool) else None

    clients = number("data", "clients")
    for path in (("strategy", "clients_per_round"), ("evaluate", "clients")):
        cohort = number(*path)
        if clients is not None and cohort is not None and cohort > clients:
            key = ".".join(path)
            yield Problem(
                path,
                f"'{key}' should be at most data.clients, which is {clients} (got {cohort}). "
                "Lower it, or raise data.clients.",
            )
    test = number("data", "test_fraction")
    validation = number("data", "validation_fraction")
    if test is not None and validation is not None and test < 1 <= test + validation:
        yield Problem(
            ("data", "validation_fraction"),
            "'data.test_fraction' and 'data.validation_fraction' should add up to less than 1 "
            f"(got {test} + {validation}). Some samples must remain to train on.",
        )
    nesterov = _value(model, raw, ("local", "optimizer", "nesterov"))
    if nesterov is True and number("local", "optimizer", "momentum") == 0:
        yield Problem(
            ("local", "optimizer", "nesterov"),
            "'local.optimizer.nesterov' needs 'local.optimizer.momentum' above 0 (got 0). "
            "Set momentum, for example to 0.9.",
        )
    optimizer, strategy = _value(model, raw, ("local", "optimizer", "name")), _strategy(model, raw)
    if isinstance(optimizer, str) and optimizer not in getattr(
        strategy, "optimizers", (optimizer,)
    ):
        yield Problem(
            ("local", "optimizer", "name"),
            f"'local.optimizer.name' is '{optimizer}', and strategy "
            f"'{_value(model, raw, ('strategy', 'name'))}' counts the steps of plain or momentum "
            "SGD. Set it to 'sgd'.",
        )
    yield from _heterogeneity_checks(model, raw)
    yield from _noise_checks(model, raw)
    yield from _sampling_checks(model, raw)
    yield from _stop_checks(model, raw)
    yield from _device_checks(model, raw)
    if _value(model, raw, ("privacy", "name")) is not None:
        yield from _privacy_checks(model, raw)


def block_checks(config: SimulationConfig) -> Iterator[Problem]:
    """Broken rules that scenario, strategy and devices know themselves; every value is valid."""
    blocks: list[Any] = [config.scenario, config.strategy, config.devices]
    for block in blocks:
        if isinstance(block, ScenarioConfig | StrategyConfig | DevicesConfig):
            for key, sentence in block.problems_in(config):
                yield Problem(tuple(key.split(".")), sentence)


def _heterogeneity_checks(model: type[StrictConfig], raw: Mapping[str, Any]) -> Iterator[Problem]:
    """Shifts and groups that need something elsewhere in the file."""
    partition = _value(model, raw, ("data", "partition", "name"))
    if _value(model, raw, ("data", "shift", "by")) == "cluster" and partition != "clusters":
        yield Problem(
            ("data", "shift", "by"),
            f"'data.shift.by' is 'cluster', but 'data.partition.name' is '{partition}', which "
            "makes none. Set it to 'clusters', or data.shift.by to 'client'.",
        )
    by = _value(model, raw, ("evaluate", "groups", "by"))
    if by == "attribute" and _value(model, raw, ("data", "attribute")) is None:
        yield Problem(
            ("evaluate", "groups", "by"),
            "'evaluate.groups.by' is 'attribute', and 'data.attribute' names no column. Set it, or "
            "group by majority-label or device.",
        )
    task = _value(model, raw, ("task", "name"))
    if isinstance(by, str) and task != "classification" and plugins.ours("tasks", task):
        yield Problem(
            ("evaluate", "groups"),
            f"'evaluate.groups' compares the recognition of classes, and 'task.name' is '{task}'. "
            "Leave evaluate.groups out.",
        )


def _noise_checks(model: type[StrictConfig], raw: Mapping[str, Any]) -> Iterator[Problem]:
    """Noise is added to clean images only."""
    noisy, noise = (_value(model, raw, path) for path in (("data", "noisy"), ("task", "noise")))
    if noisy is not None and noise is not None:
        yield Problem(
            ("task", "noise"),
            "'task.noise' is added to clean images, and 'data.noisy' names noisy ones "
            f"('{noisy}'). Leave one of them out.",
        )
    task = _value(model, raw, ("task", "name"))
    if (
        _value(model, raw, ("data", "shift", "name")) == "noise"
        and task in ("denoising", "super-resolution")
        and plugins.ours("tasks", task)
    ):
        yield Problem(
            ("data", "shift", "name"),
            f"'data.shift.name' is 'noise', which the truth of task '{task}' would carry too. Give "
            "the task's cameras noise, or leave data.shift out.",
        )


def _sampling_checks(model: type[StrictConfig], raw: Mapping[str, Any]) -> Iterator[Problem]:
    """Candidates are those of power-of-choice, and there must be enough of them."""
    path = ("strategy", "candidates")
    keys = ("sampling", "clients_per_round", "candidates")
    sampling, cohort, candidates = (_value(model, raw, ("strategy", key)) for key in keys)
    if not isinstance(candidates, int):
        return
    if sampling != "power-of-choice":
        yield Problem(
            path,
            f"'strategy.candidates' needs strategy.sampling 'power-of-choice' (got '{sampling}'). "
            "Set it, or leave candidates out.",
        )
    elif isinstance(cohort, int) and candidates < cohort:
        yield Problem(
            path,
            f"'strategy.candidates' should be at least strategy.clients_per_round, which is "
            f"{cohort} (got {candidates}). Raise it.",
        )


def _device_checks(model: type[StrictConfig], raw: Mapping[str, Any]) -> Iterator[Problem]:
    """What asynchronous strategies need, and what they cannot have."""
    if not getattr(_strategy(model, raw), "asynchronous", False):
        return
    name = _value(model, raw, ("strategy", "name"))
    if _value(model, raw, ("devices", "name")) == "uniform":
        yield Problem(
            ("strategy", "name"),
            f"'strategy.name' is '{name}', which lives on devices of different speed, and "
            "'devices' is 'uniform'. Give profiles, for example "
            "devices: [{profile: phone-low, share: 0.5}, {profile: phone-high, share: 0.5}].",
        )
    for key in ("deadline", "over_commit"):
        value = _value(model, raw, ("devices", key))
        if value:
            yield Problem(
                ("devices", key),
                f"'devices.{key}' is about rounds that wait for clients, and strategy '{name}' "
                f"waits for nobody (got {value}). Leave it out.",
            )
    clients = _value(model, raw, ("data", "clients"))
    wanted = _value(model, raw, ("strategy", "concurrency"))
    if isinstance(clients, int) and isinstance(wanted, int) and wanted > clients:
        yield Problem(
            ("strategy", "concurrency"),
            f"'strategy.concurrency' should be at most data.clients, which is {clients} (got "
            f"{wanted}). Lower it, or raise data.clients.",
        )


def _strategy(model: type[StrictConfig], raw: Mapping[str, Any]) -> type[StrictConfig] | None:
    """The class of the strategy's block; None if the file has none."""
    return block_at(model, raw, ("strategy",)) if "strategy" in raw else None


def _stop_checks(model: type[StrictConfig], raw: Mapping[str, Any]) -> Iterator[Problem]:
    """Rules that look at a metric need an evaluation, and a target that can be reached."""
    target = _value(model, raw, ("stop", "target"))
    if isinstance(target, int | float) and target > 1:
        name = _value(model, raw, ("stop", "metric")) or _primary(model, raw)
        if isinstance(name, str) and is_share(name):
            yield Problem(
                ("stop", "target"),
                f"'stop.target' should be at most 1, as '{name}' is a share (got {target:g}). "
                f"Write {target / 100:g} for {target:g} %.",
            )
    if _value(model, raw, ("evaluate", "every")) != 0:
        return
    for key in ("patience", "target"):
        value = _value(model, raw, ("stop", key))
        if value is not None:
            yield Problem(
                ("stop", key),
                f"'stop.{key}' needs an evaluation, and 'evaluate.every' is 0 (got {value}). "
                f"Set evaluate.every to 1 or more, or leave stop.{key} out.",
            )


def _primary(model: type[StrictConfig], raw: Mapping[str, Any]) -> str | None:
    """The primary metric of the task; None where the task is not known by name."""
    name = _value(model, raw, ("task", "name"))
    if not isinstance(name, str) or name not in plugins.entries("tasks"):
        return None
    primary: str | None = getattr(plugins.load("tasks", name), "primary", None)
    return primary


def _privacy_checks(model: type[StrictConfig], raw: Mapping[str, Any]) -> Iterator[Problem]:
    """What would break the guarantee that the noise is calibrated for."""
    if not isinstance(raw.get("strategy"), Mapping):
        return  # which is told as it is
    block, strategy = (block_at(model, raw, (key,)) for key in ("privacy", "strategy"))
    suits = getattr(strategy, "privacy", "none")
    if suits == "none" or (suits == "local" and not getattr(block, "local", False)):
        key = "target" if _value(model, raw, ("strategy", "target")) else "name"
        name = _value(model, raw, ("strategy", key))
        reason = (
            "its server does more than take the mean, which central noise is calibrated for. "
            "Set privacy.name to 'local', or strategy.name to 'fed-avg'"
            if suits == "local"
            else "more than the clients' noisy models reaches its server, or nobody knows what "
            "does. Set strategy.name to 'fed-avg'"
        )
        sentence = f"'privacy' cannot be combined with strategy '{name}': {reason}."
        yield Problem(("strategy", key), sentence)
    if _value(model, raw, ("uplink",)) is not None:
        yield Problem(
            ("uplink",),
            "'uplink' cannot be combined with 'privacy': the noise is calibrated for updates as "
            "they are clipped, and compression changes them. Leave one of the two out.",
        )
    if _value(model, raw, ("devices", "name")) not in (None, "uniform"):
        yield Problem(
            ("devices",),
            "'devices' cannot be combined with 'privacy' unless it is 'uniform': the noise is "
            "calibrated for whole cohorts, of which every client is part with the same chance. "
            "Leave one of the two out.",
        )
    if _value(model, raw, ("scenario",)) is not None:
        yield Problem(
            ("scenario",),
            "'scenario' cannot be combined with 'privacy': clients without samples of a phase "
            "answer without clipping and noise, which tells that they have none. Leave one of the "
            "two out.",
        )
    action = _value(model, raw, ("on_client_error",))
    if action == "skip" or (action == "retry" and _value(model, raw, ("min_success",)) != 1):
        yield Problem(
            ("on_client_error",),
            f"'on_client_error' is '{action}', but with 'privacy' no client may be left out: the "
            "noise is calibrated for a whole cohort. Set it to 'fail', or to 'retry' with "
            "min_success: 1.0.",
        )
    sampling = _value(model, raw, ("strategy", "sampling"))
    if sampling not in (None, "uniform"):
        yield Problem(
            ("strategy", "sampling"),
            f"'strategy.sampling' is '{sampling}', but with 'privacy' every client must have the "
            "same chance to be drawn: the accountant counts on it. Set it to 'uniform'.",
        )
    if _value(model, raw, ("strategy", "batchnorm")) == "strategy":
        yield Problem(
            ("strategy", "batchnorm"),
            "'strategy.batchnorm' is 'strategy', but with 'privacy' BatchNorm statistics are kept "
            "apart from what gets noise. Set it to 'pooled' or 'naive'.",
        )


def _value(model: type[StrictConfig], raw: Any, path: KeyPath) -> Any:
    """What the file says at ``path``, or the default."""
    for depth, part in enumerate(path):
        if isinstance(raw, StrictConfig):
            raw = getattr(raw, str(part), None)
        elif isinstance(raw, Mapping) and part in raw:
            raw = raw[part]
        elif isinstance(raw, Mapping):
            field = model.model_fields.get(str(part))
            raw = field.default if field else None
        else:
            return None
        if isinstance(raw, Mapping):
            model = block_at(model, {part: raw}, (part,)) if depth < len(path) - 1 else model
    return raw
