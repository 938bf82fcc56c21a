"""Fields of configuration blocks as text: type, rule, default, description."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

from pydantic_core import PydanticUndefined

from fedzda.base import StrictConfig
from fedzda.platform.config.problems import shown

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

_WORDS = {
    int: "whole number",
    float: "number",
    str: "text",
    bool: "true or false",
    type(None): "null",
    Any: "anything",
}
_BOUNDS = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}
_LENGTHS = {"min_length": "at least", "max_length": "at most"}


def field_rows(block: type[StrictConfig]) -> str:
    """All fields of a block, one paragraph each; ``name`` comes first."""
    fields = sorted(block.model_fields.items(), key=lambda item: item[0] != "name")
    return "\n".join(textwrap.indent(field_text(key, field), "  ") for key, field in fields)


def field_text(name: str, field: FieldInfo) -> str:
    """``name: type, rules; default`` and the description below it."""
    rules = _joined(rule for mark in field.metadata for rule in _rules(mark))
    head = ", ".join([type_text(field.annotation), *rules])
    about = " ".join((field.description or "").replace("``", "'").split())
    body = textwrap.fill(about, 92, initial_indent="    ", subsequent_indent="    ")
    return f"{name}: {head}; {default_text(field)}" + (f"\n{body}" if about else "")


def type_text(annotation: Any) -> str:
    """A type in words: ``int | Literal["auto"]`` is ``whole number or 'auto'``."""
    if annotation in _WORDS:
        return _WORDS[annotation]
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return " or ".join(shown(arg) for arg in args)
    if origin is list:
        return f"list of {type_text(args[0])}"
    if origin in (dict, Mapping):
        return "block of keys"
    if isinstance(annotation, type):
        return "block of keys" if issubclass(annotation, StrictConfig) else annotation.__name__
    if hasattr(annotation, "__metadata__"):  # Annotated
        rules = _joined(rule for mark in annotation.__metadata__ for rule in _rules(mark))
        return " ".join([type_text(args[0]), *rules])
    return " or ".join(dict.fromkeys(type_text(arg) for arg in args))


def default_text(field: FieldInfo) -> str:
    """``default 16`` or ``required``."""
    if field.default is PydanticUndefined:
        return "required" if field.default_factory is None else "has a default"
    default = field.default
    if isinstance(default, StrictConfig):
        default = default.model_dump(mode="json")
    if isinstance(default, Mapping):
        inside = ", ".join(f"{key}: {_bare(value)}" for key, value in default.items())
        return f"default {{{inside}}}"
    return f"default {_bare(default)}"


def _bare(value: Any) -> str:
    return value if isinstance(value, str) and value else shown(value)


def _joined(rules: Iterable[str]) -> list[str]:
    """``at least 2 items`` and ``at most 2 items`` as ``2 items``; all else as it is."""
    found = list(dict.fromkeys(rules))
    for rule in found:
        count = rule.removeprefix("at least ")
        if rule.endswith(" items") and f"at most {count}" in found:
            return [count, *(r for r in found if r not in (rule, f"at most {count}"))]
    return found


def _rules(mark: Any) -> list[str]:
    """The bounds that one piece of a field's metadata states."""
    found = []
    for table, unit in ((_BOUNDS, ""), (_LENGTHS, " items")):
        for name, word in table.items():
            bound = getattr(mark, name, None)
            if bound is not None:
                found.append(f"{word} {bound}{unit}")
    # Constraints inside Annotated keep their FieldInfo around them.
    for inner in getattr(mark, "metadata", []):
        found += _rules(inner)
    return found
