"""The component that is checked: what it is, and how a simulation names it."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from fedzda.base import StrictConfig, UserError
from fedzda.platform import plugins
from fedzda.platform.catalog import CATALOG, Entry

KINDS = (
    *("model", "task", "dataset", "partitioner", "shift", "strategy", "synthesizer", "variant"),
)
"""Kinds that have checks, as the command line calls them."""
_PLURAL = {"strategy": "strategies"}
_OFFERED = {
    "task": ("loss", "outputs", "sample_statistics", "metrics", "details", "validate"),
    "synthesizer": ("fit", "sample", "state", "load_state", "save"),
    "variant": ("build", "calibrate", "hooks", "deploy", "to_global", "cost"),
    "shift": ("apply", "describe"),
}
"""Methods by which a class is recognised, the kind with the most of them first."""


@dataclass(frozen=True)
class Subject:
    """A component under test.

    Attributes:
        target: ``package.module:Name``.
        component: The object itself.
        kind: One of :data:`KINDS`.
        block: What stands in a simulation's file to name it.
    """

    target: str
    component: Any
    kind: str
    block: dict[str, Any]

    @property
    def catalogue_kind(self) -> str:
        """The kind as the catalogue calls it."""
        return _PLURAL.get(self.kind, f"{self.kind}s")


@contextmanager
def subject_of(target: str, kind: str | None, args: Mapping[str, Any]) -> Iterator[Subject]:
    """A component, which simulations inside the block can name.

    One with a ``Config`` is used as an installed plug-in is, by a name; any other as a ``target``
    with ``args``.

    Raises:
        UserError: It cannot be imported, its kind cannot be told, or its ``Config`` is none.
    """
    component = plugins.import_target(target)
    found = kind or kind_of(target, component)
    if found not in KINDS:
        raise UserError(f"--kind is '{found}'. Choose one of: {', '.join(KINDS)}.")
    config = getattr(component, "Config", None)
    if config is None:
        yield Subject(target, component, found, {"target": target, "args": dict(args)})
        return
    name = _name_of(target, config)
    made = Subject(target, component, found, {"name": name, **args})
    listed = CATALOG[made.catalogue_kind]
    if name in listed and listed[name].target != target:
        raise UserError(
            f"'{target}' is called '{name}', which is the name of a component of fedzda's own. "
            "Give Config.name another default."
        )
    before = dict(listed)
    listed[name] = Entry(target, "under test")
    try:
        yield made
    finally:
        listed.clear()
        listed.update(before)


def _name_of(target: str, config: Any) -> str:
    if not (isinstance(config, type) and issubclass(config, StrictConfig)):
        raise UserError(
            f"'{target}': its Config must derive from fedzda.base.StrictConfig (or from the config "
            f"of its kind), found {config!r}."
        )
    field = config.model_fields.get("name")
    name = None if field is None else field.default
    if not isinstance(name, str):
        raise UserError(
            f"'{target}': its Config needs a field such as name: Literal['my-name'] = 'my-name', "
            "by which a simulation names the component."
        )
    return name


def kind_of(target: str, component: Any) -> str:
    """What a component is, by what it derives from or offers. Raises UserError if that is open."""
    bases = [f"{base.__module__}.{base.__name__}" for base in getattr(component, "__mro__", ())]
    if "torch.nn.modules.module.Module" in bases:
        return "model"
    if any(base.startswith("flwr.serverapp.strategy") for base in bases):
        return "strategy"
    if isinstance(component, type):
        for kind, methods in _OFFERED.items():
            if all(hasattr(component, name) for name in methods):
                return kind
    if callable(component) and not isinstance(component, type):
        taken = inspect.signature(component).parameters
        if {"labels", "num_clients", "rng"} <= set(taken):
            return "partitioner"
        if "base_folder" in taken or _returns_raw(component):
            return "dataset"
    raise UserError(
        f"what kind of component '{target}' is cannot be told: a model derives from "
        "torch.nn.Module, a task from fedzda.clients.tasks.base.Task, a strategy from "
        "flwr.serverapp.strategy.Strategy; a synthesizer has fit, sample, state, load_state and "
        "save, a variant build, calibrate, hooks, deploy, to_global and cost, a shift apply and "
        "describe; a data set is a function that returns RawData, a partitioner one that takes "
        "labels, columns, num_clients and rng. Say which with --kind."
    )


def _returns_raw(component: Any) -> bool:
    return "RawData" in str(inspect.signature(component).return_annotation)
