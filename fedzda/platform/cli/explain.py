"""``fedzda explain``: what a component or a key is."""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

    from fedzda.base import StrictConfig

_MOST_NAMED = 3


def explain(
    what: Annotated[
        str,
        typer.Argument(
            metavar="KIND.NAME|KEY", help="For example strategy.fed-avg or local.batch_size."
        ),
    ],
) -> None:
    """Explain a component or a key.

    Says what it does, which keys it takes, and what they are by default.
    """
    typer.echo(explanation(what))


@dataclasses.dataclass
class _Place:
    """Where a dotted name leads: a block, a slot for components, or a single key."""

    path: str
    block: type[StrictConfig] | None
    slot_kind: str | None = None
    component: str | None = None
    field: FieldInfo | None = None
    choices: Mapping[str, type[StrictConfig]] = dataclasses.field(default_factory=dict)
    """Blocks of which one stands here, by their names, such as ``sgd`` and ``adam``."""


def explanation(what: str) -> str:
    """The text of ``fedzda explain``.

    Args:
        what: ``KIND.NAME`` (kinds in singular or plural), a key such as ``local.batch_size``, or
            a key of a component such as ``strategy.fed-avg.clients_per_round``.

    Raises:
        UserError: There is no such component or key.
    """
    from fedzda.platform.cli.fields import field_rows, field_text

    place = find(what)
    if place.component is not None and place.slot_kind is not None:
        return _component_text(place)
    if place.slot_kind is not None:
        return _slot_text(place)
    if place.block is not None:
        return f"{place.path}: {_doc(place.block)}\n\n{field_rows(place.block)}"
    assert place.field is not None
    texts = [field_text(place.path, place.field)]
    for name, block in place.choices.items():
        texts.append(f"{place.path}.{name}: {_doc(block)}\n\n{field_rows(block)}")
    return "\n\n".join(texts)


def find(what: str) -> _Place:
    """Follow a dotted name from the whole configuration, or from a kind."""
    from fedzda.platform.cli.kinds import kind_of
    from fedzda.platform.config import SimulationConfig
    from fedzda.platform.plugins import config_class, entries

    parts = what.split(".")
    place = _Place("", SimulationConfig)
    for index, part in enumerate(parts):
        kind = kind_of(part) if index == 0 else None
        if place.slot_kind and place.component is None and part in entries(place.slot_kind):
            block = config_class(place.slot_kind, part)
            place = _Place(f"{place.path}.{part}", block, place.slot_kind, part)
        elif place.block is not None and part in place.block.model_fields:
            place = _key(place, part)
        elif part in place.choices:
            place = _Place(f"{place.path}.{part}", place.choices[part])
        elif holder := _holder(place, part):
            place = _key(_Place(f"{place.path}.{holder}", place.choices[holder]), part)
        elif kind is not None:
            place = _Place(part, None, kind)
        else:
            raise _unknown(place, part)
    return place


def _key(place: _Place, key: str) -> _Place:
    from fedzda.platform.config import slots
    from fedzda.platform.config.problems import block_classes

    assert place.block is not None
    field = place.block.model_fields[key]
    path = f"{place.path}.{key}".lstrip(".")
    slot = slots(place.block).get(key)
    blocks = block_classes(field.annotation)
    if slot is not None:
        return _Place(path, blocks[0], slot.kind, field=field)
    if len(blocks) == 1:
        return _Place(path, blocks[0], field=field)
    named = {str(block.model_fields["name"].default): block for block in blocks}
    return _Place(path, None, field=field, choices=named)


def _holder(place: _Place, key: str) -> str | None:
    """Name of the block that takes ``key``: that of the default if it does, else the first."""
    chosen = str(getattr(place.field.default if place.field else None, "name", ""))
    holders = [name for name, block in place.choices.items() if key in block.model_fields]
    return chosen if chosen in holders else next(iter(holders), None)


def _unknown(place: _Place, part: str) -> Exception:
    from fedzda.base import UserError
    from fedzda.platform.cli.kinds import KINDS
    from fedzda.platform.config.problems import KEY_SIMILARITY, suggestion
    from fedzda.platform.plugins import entries

    known = list(place.block.model_fields) if place.block else list(place.choices)
    if place.slot_kind and place.component is None:
        known += sorted(entries(place.slot_kind))
    if not place.path:
        known += [name for names in KINDS.values() for name in names if name not in known]
    hint = suggestion(part, known, KEY_SIMILARITY)
    if deeper := _deeper(place, part):
        hint = f" Did you mean {' or '.join(map(repr, deeper[:_MOST_NAMED]))}?"
    if not place.path:
        kinds = [
            names[0] if names else kind for kind, names in KINDS.items() if part in entries(kind)
        ]
        hint = f" Did you mean '{kinds[0]}.{part}'?" if kinds else hint
    inside = f" in '{place.path}'" if place.path else ""
    listed = ", ".join(known) or "nothing, it is a single value"
    return UserError(f"there is no '{part}'{inside}.{hint} Known: {listed}.")


def _deeper(place: _Place, key: str) -> list[str]:
    """Dotted names of a key in the blocks, or in the components, that can stand in a place."""
    from fedzda.base import UserError
    from fedzda.platform.config.problems import inside
    from fedzda.platform.plugins import config_class, entries

    found = inside(place.block, key) if place.block else []
    kind = place.slot_kind if place.component is None else None
    for name in entries(kind) if kind else ():
        with contextlib.suppress(UserError):  # a plug-in that cannot be imported is none to propose
            if key in config_class(kind or "", name).model_fields:
                found.append(name)
    return [f"{place.path}.{name}.{key}".lstrip(".") for name in found]


def _component_text(place: _Place) -> str:
    from fedzda.platform.cli.fields import field_rows
    from fedzda.platform.plugins import entry, load

    assert place.slot_kind is not None
    assert place.component is not None
    assert place.block is not None
    component = load(place.slot_kind, place.component)
    summary = entry(place.slot_kind, place.component).summary
    texts = [f"{place.path}: {summary}"]
    for documented in (component, place.block, inspect.getmodule(component)):
        text = _doc(documented)
        if text.rstrip(".").lower() not in "\n".join(texts).lower():
            texts.append(text)
    return "\n\n".join([*texts, field_rows(place.block)])


def _slot_text(place: _Place) -> str:
    from fedzda.platform.cli.fields import field_rows
    from fedzda.platform.cli.text import table
    from fedzda.platform.plugins import entries

    assert place.slot_kind is not None
    about = " ".join((place.field.description or "").split()) if place.field else ""
    rows = [(name, entry.summary) for name, entry in sorted(entries(place.slot_kind).items())]
    text = f"{place.path}: {about}".rstrip(": ") + "\n\nChoose one by its name:\n"
    text += table(rows, indent=2)
    if place.block is not None and place.block.model_fields:
        text += f"\n\nKeys that all of them take:\n{field_rows(place.block)}"
    return text


def _doc(documented: Any) -> str:
    """An object's own docstring, not one that it inherits."""
    own = getattr(documented, "__doc__", None)
    text = inspect.cleandoc(own).replace("``", "'") if own else ""
    return re.sub(r":\w+:`~?([^`]+)`", r"\1", text)
