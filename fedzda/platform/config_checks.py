"""Rules between keys of different blocks that need neither the data nor the model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from fedzda.base import StrictConfig
from fedzda.platform.config_problems import Problem, block_at
from fedzda.platform.yaml_loader import KeyPath


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
