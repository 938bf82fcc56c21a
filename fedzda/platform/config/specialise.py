"""The class that validates one particular configuration.

Which class validates a slot is only known once its name is read, so :func:`specialise` makes the
matching pydantic class for the file at hand.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Annotated, Any, get_args

from pydantic import Field, SerializeAsAny, create_model
from pydantic.fields import FieldInfo

from fedzda.base import StrictConfig
from fedzda.platform import plugins
from fedzda.platform.config.data import DataConfig, ShiftConfig
from fedzda.platform.config.slot import Slot, TargetConfig
from fedzda.platform.config.strategy import StrategyConfig

_DESCRIBED = {"use_attribute_docstrings": False}
"""Of classes made here: descriptions come with the fields. To look for docstrings, pydantic asks
for the module of every frame of the stack, which goes through all modules for some."""


def slots(model: type[StrictConfig]) -> dict[str, Slot]:
    """The component fields of a block."""
    found = {}
    for name, field in model.model_fields.items():
        for mark in field.metadata:
            if isinstance(mark, Slot):
                found[name] = mark
    return found


def chosen_class(slot: Slot, raw: Any) -> type[StrictConfig]:
    """The class that validates ``raw`` in a slot. Raises UserError for an unknown name."""
    if slot.target and isinstance(raw, Mapping) and "target" in raw:
        return target_class(slot.kind, str(raw["target"]))
    found: type[StrictConfig] = plugins.config_class(slot.kind, raw["name"])
    return found


@functools.cache
def target_class(kind: str, target: str) -> type[StrictConfig]:
    """The class that validates ``{target: …}``: the fields a block of this kind needs, and args."""
    bases: dict[str, type[StrictConfig]] = {
        "datasets": DataConfig,
        "strategies": StrategyConfig,
        "shifts": ShiftConfig,
    }
    if kind not in bases:
        return TargetConfig
    shared: Any = bases[kind]
    return create_model(
        f"{shared.__name__}Target",
        __base__=(TargetConfig, shared),
        __cls_kwargs__=_DESCRIBED,
        name=(str, target.rpartition(":")[2]),
    )


def specialise(model: type[StrictConfig], raw: Any) -> type[StrictConfig]:
    """``model`` with every slot replaced by the class that ``raw`` names, recursively.

    Slots whose content is unusable (no name, not a mapping) keep their general class, specialised
    inside; the caller reports them. The same choices give the same class.
    """
    chosen: list[tuple[str, type[StrictConfig]]] = []
    marked = slots(model)
    for name, field in model.model_fields.items():
        value = raw.get(name, field.default) if isinstance(raw, Mapping) else None
        if name in marked:
            if isinstance(value, Mapping):
                named = bool({"name", "target"} & set(value))
                stated = chosen_class(marked[name], value) if named else _general(field)
                chosen.append((name, specialise(stated, value)))
        elif isinstance(field.annotation, type) and issubclass(field.annotation, StrictConfig):
            inner = specialise(field.annotation, value if isinstance(value, Mapping) else {})
            if inner is not field.annotation:
                chosen.append((name, inner))
    return _with_fields(model, tuple(chosen)) if chosen else model


@functools.lru_cache(maxsize=1024)
def _with_fields(
    model: type[StrictConfig], chosen: tuple[tuple[str, type[StrictConfig]], ...]
) -> type[StrictConfig]:
    """``model`` with the classes of some fields replaced.

    A class takes 5 to 100 ms to make, and the cells of a sweep mostly differ in numbers.
    """
    marked, changed = slots(model), dict[str, Any]()
    for name, inner in chosen:
        annotation: Any = inner
        if name in marked:
            annotation = Annotated[SerializeAsAny[annotation], marked[name]]  # type: ignore[misc]
        changed[name] = (annotation, _same_default(model.model_fields[name]))
    return create_model(
        model.__name__,
        __base__=model,
        __doc__=model.__doc__,
        __cls_kwargs__=_DESCRIBED,
        **changed,
    )


def _general(field: FieldInfo) -> type[StrictConfig]:
    """The class that a slot states, without ``None`` and the like."""
    found: list[Any] = [field.annotation]
    while not (isinstance(found[0], type) and issubclass(found[0], StrictConfig)):
        found = [*get_args(found[0]), *found[1:]]
    block: type[StrictConfig] = found[0]
    return block


def _same_default(field: FieldInfo) -> Any:
    description: Any = {"description": field.description}
    if field.is_required():
        return Field(**description)
    return Field(default=field.default, **description)


def plain(config: StrictConfig) -> dict[str, Any]:
    """A configuration as plain data, every default filled in: the same file again."""
    return config.model_dump(mode="json")
