"""Sentences for what is wrong with a configuration: the key, the rule, the value, the way out."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, get_args

from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from fedzda.base import StrictConfig, UserError
from fedzda.platform import plugins
from fedzda.platform.config.overrides import Sources
from fedzda.platform.config.slot import Slot
from fedzda.platform.config.yaml_loader import KeyPath

KEY_SIMILARITY = 0.6
_MOST_NAMED = 3
VALUE_SIMILARITY = 0.8  # a wrong suggestion of a value costs more than none


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong.

    Attributes:
        path: The key it is about; the file's line or the override is found by it.
        sentence: What is wrong and what to do, without the place.
        block_matters: The component that was chosen for the block around the key decides what is
            accepted here, so an override which chose it has to be named.
        line: Line in the file; left out: that of the key.
        override: The override it comes from; left out: found by the key.
    """

    path: KeyPath
    sentence: str
    block_matters: bool = False
    line: int | None = None
    override: str | None = None


def dotted(path: Iterable[str | int]) -> str:
    """``("data", "clients")`` as ``data.clients``."""
    return ".".join(map(str, path))


def shown(value: Any) -> str:
    """A value as it would stand in YAML, shortened."""
    if isinstance(value, str):
        text = f"'{value}'"
    else:
        text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else text[:57] + "…"


def suggestion(text: str, known: Iterable[str], cutoff: float) -> str:
    """`` Did you mean 'x'?`` or nothing. Case and ``_`` against ``-`` do not count."""
    if len(text) <= 3 and cutoff >= VALUE_SIMILARITY:
        return ""
    folded = {name.lower().replace("_", "-"): name for name in known}
    near = difflib.get_close_matches(text.lower().replace("_", "-"), folded, n=1, cutoff=cutoff)
    return f" Did you mean '{folded[near[0]]}'?" if near else ""


def choice(path: KeyPath, value: Any, known: Iterable[str]) -> Problem:
    """A value is none of a closed list."""
    names = list(known)
    hint = suggestion(value, names, VALUE_SIMILARITY) if isinstance(value, str) else ""
    listed = ", ".join(names)
    return Problem(path, f"'{dotted(path)}' is {shown(value)}.{hint} Choose one of: {listed}.")


def unknown_key(
    path: KeyPath, accepted: Sequence[str], others: Sequence[str] = (), holders: Sequence[str] = ()
) -> Problem:
    """A key that nothing reads.

    Args:
        path: The key.
        accepted: Keys of the block.
        others: Components that could stand here and know the key.
        holders: Those of ``accepted`` that hold a block which knows the key.
    """
    deeper = " or ".join(f"'{dotted((*path[:-1], key, path[-1]))}'" for key in holders)
    hint = suggestion(str(path[-1]), accepted, KEY_SIMILARITY)
    hint = f" Did you mean {deeper}?" if deeper else hint
    listed = ", ".join(accepted) or "no keys"
    sentence = f"unknown key '{dotted(path)}'.{hint} Accepted here: {listed}."
    if others:
        named = ", ".join(f"'{name}'" for name in others[:_MOST_NAMED])
        named += ", …" if len(others) > _MOST_NAMED else ""
        one = "it" if len(others) == 1 else "one of them"
        sentence += f" Known to {named}: set '{dotted(path[:-1])}.name' to {one}."
    return Problem(path, sentence, block_matters=True)


def _knowing(model: type[StrictConfig], raw: Mapping[str, Any], path: KeyPath) -> list[str]:
    """Components that could stand in the block around a key and know the key."""
    if len(path) < 2 or path[-1] == "name":
        return []
    slot = _slot(block_at(model, raw, path[:-2]).model_fields.get(str(path[-2])))
    found: list[str] = []
    if slot is None:
        return found
    for name in plugins.entries(slot.kind):
        with suppress(UserError):  # a plug-in that cannot be imported is none to propose
            if path[-1] in plugins.config_class(slot.kind, name).model_fields:
                found.append(name)
    return found


def _slot(field: FieldInfo | None) -> Slot | None:
    """The mark of a field that holds a component; None for any other."""
    return next((m for m in field.metadata if isinstance(m, Slot)), None) if field else None


def inside(block: type[StrictConfig], key: str) -> list[str]:
    """Fields of a block that hold a block which knows a key."""
    return [
        name
        for name, field in block.model_fields.items()
        if any(key in inner.model_fields for inner in block_classes(field.annotation))
    ]


def _as_block(model: type[StrictConfig], raw: Mapping[str, Any], path: KeyPath, text: str) -> str:
    """How the block that ``text`` stands for is written; empty where blocks there have no name."""
    field = block_at(model, raw, path[:-1]).model_fields.get(str(path[-1]))
    slot = _slot(field)
    if slot is not None and slot.target and ":" in text:
        return f"Write {path[-1]}: {{target: {text}}}."
    if slot is not None:
        known = sorted(plugins.entries(slot.kind))
    else:
        named = map(_default_name, block_classes(field.annotation) if field else [])
        known = [name for name in named if isinstance(name, str)]
    if text in known:
        return f"Write {path[-1]}: {{name: {text}}}."
    return f"Write {path[-1]}: {{name: …}}, with one of: {', '.join(known)}." if known else ""


# ---------------------------------------------------------------------------------------------
# pydantic's findings


def from_pydantic(
    error: ValidationError, model: type[StrictConfig], raw: Mapping[str, Any]
) -> list[Problem]:
    """One problem per key: the findings of all members of a union field become one sentence.

    Args:
        error: What ``model.model_validate(raw)`` raised.
        model: The class, specialised for ``raw``.
        raw: The data.
    """
    by_path: dict[KeyPath, list[ErrorDetails]] = {}
    for detail in error.errors(include_url=False):
        by_path.setdefault(_file_path(detail, raw), []).append(detail)
    return [_problem(path, details, model, raw) for path, details in by_path.items()]


def _file_path(detail: ErrorDetails, raw: Mapping[str, Any]) -> KeyPath:
    """pydantic's location without what does not stand in the file (tags and names of unions)."""
    path: list[str | int] = []
    here: Any = raw
    for part in detail["loc"]:
        in_block = isinstance(here, Mapping) and part in here
        if in_block or (isinstance(here, list) and part in range(len(here))):
            path.append(part)
            here = here[part]
    if detail["type"] == "missing":
        path.append(detail["loc"][-1])
    return tuple(path)


def _problem(
    path: KeyPath, details: list[ErrorDetails], model: type[StrictConfig], raw: Mapping[str, Any]
) -> Problem:
    first = details[0]
    kind, value = first["type"], first["input"]
    if kind == "extra_forbidden":
        block = block_at(model, raw, path[:-1])
        known = list(block.model_fields)
        holders = inside(block, str(path[-1]))
        return unknown_key(path, known, _knowing(model, raw, path), holders)
    if kind == "missing":
        about = describe(model, raw, path)
        return Problem(path, f"missing key '{dotted(path)}'. {about or 'Add it.'}", True)
    if kind in ("union_tag_not_found", "union_tag_invalid"):
        if kind == "union_tag_not_found" or not isinstance(value, Mapping):
            return Problem(path, _should(path, "a block of keys with a name", value))
        known = [tag.strip("' ") for tag in first["ctx"]["expected_tags"].split(",")]
        return choice((*path, "name"), value.get("name"), known)
    if kind == "value_error":
        place = f"'{dotted(path)}': " if path else ""
        return Problem(path, f"{place}{str(first['ctx']['error']).rstrip('.')}.", True)
    options = _literals(details)
    if options is not None:
        return choice(path, value, options)
    rule = " or ".join(dict.fromkeys(_rule(detail) for detail in details))
    about = ""
    if kind == "string_pattern_mismatch":
        about = describe(model, raw, path) or describe(model, raw, path[:-1])
    if kind in ("model_type", "model_attributes_type") and isinstance(value, str):
        about = _as_block(model, raw, path, value)
    return Problem(path, f"{_should(path, rule, value)}{' ' if about else ''}{about}")


def _should(path: KeyPath, rule: str, value: Any) -> str:
    if not path:
        return f"the configuration should be {rule} (got {shown(value)})."
    return f"'{dotted(path)}' should be {rule} (got {shown(value)})."


def _literals(details: list[ErrorDetails]) -> list[str] | None:
    """The choices, where the key takes nothing else."""
    if [detail["type"] for detail in details] != ["literal_error"]:
        return None
    listed = details[0]["ctx"]["expected"].replace(" or ", ", ")
    return [option.strip("' ") for option in listed.split(",")]


def _rule(detail: ErrorDetails) -> str:
    """The rule that was broken, as what the value 'should be'."""
    rules = {
        "model_type": "a block of keys",
        "model_attributes_type": "a block of keys",
        "dict_type": "a block of keys",
        "string_type": "text",
        "string_pattern_mismatch": "text of the right form",
    }
    if detail["type"] in rules:
        return rules[detail["type"]]
    message = detail["msg"].removeprefix("Input should be ")
    if detail["type"] in ("too_short", "too_long"):
        bound = detail["ctx"].get("min_length", detail["ctx"].get("max_length"))
        word = "at least" if detail["type"] == "too_short" else "at most"
        return f"a list of {word} {bound} items"
    return message


# ---------------------------------------------------------------------------------------------
# Walking the classes along a path of the file


def block_at(model: type[StrictConfig], raw: Any, path: KeyPath) -> type[StrictConfig]:
    """The class that validates the block at ``path`` of ``raw``."""
    classes: list[type[StrictConfig]] = []
    for part in path:
        raw = raw[part]
        if isinstance(part, int):  # the key of the list has led to the classes of its items
            model = next((c for c in classes if _default_name(c) == _name_of(raw)), model)
            continue
        field = model.model_fields.get(str(part))
        classes = [] if field is None else block_classes(field.annotation)
        if not classes:
            return model
        named = [c for c in classes if _default_name(c) == _name_of(raw)]
        model = (named or classes)[0]
    return model


def block_classes(annotation: Any) -> list[type[StrictConfig]]:
    """The configuration classes inside an annotation, for example of ``SGDConfig | AdamConfig``."""
    if isinstance(annotation, type) and issubclass(annotation, StrictConfig):
        return [annotation]
    return [found for arg in get_args(annotation) for found in block_classes(arg)]


def describe(model: type[StrictConfig], raw: Any, path: KeyPath) -> str:
    """What the class says about a key, in one line; empty where it says nothing."""
    field = block_at(model, raw, path[:-1]).model_fields.get(str(path[-1])) if path else None
    return " ".join((field.description or "").replace("``", "'").split()) if field else ""


def _default_name(model: type[StrictConfig]) -> Any:
    field = model.model_fields.get("name")
    return field.default if field else None


def _name_of(raw: Any) -> Any:
    return raw.get("name") if isinstance(raw, Mapping) else None


# ---------------------------------------------------------------------------------------------
# Adding the place


def render(problems: Iterable[Problem], sources: Sources) -> list[str]:
    """``file:line: …`` in order of lines, then ``override '…': …`` in the order given."""
    in_file, in_override = [], []
    for problem in problems:
        override = _blamed(problem, sources)
        if override is not None:
            text = f"override '{override}': {problem.sentence}"
            in_override.append((sources.given.index(override), text))
            continue
        line = sources.line_of(problem.path) if problem.line is None else problem.line
        place = f"{sources.label}:{line}" if sources.lines else sources.label
        in_file.append((line, f"{place}: {problem.sentence}{_chooser(problem, sources)}"))
    ordered = [
        *sorted(in_file, key=lambda item: item[0]),
        *sorted(in_override, key=lambda item: item[0]),
    ]
    return [text for _, text in ordered]


def _blamed(problem: Problem, sources: Sources) -> str | None:
    """The override a problem comes from, if it does not come from the file."""
    path = problem.path
    if problem.override is not None or problem.line is not None:
        return problem.override
    direct = sources.override_of(path)
    if direct is not None or path in sources.lines or not path:
        return direct
    below = (text for key, text in sources.overrides.items() if key[: len(path)] == path)
    return next(below, None)


def _chooser(problem: Problem, sources: Sources) -> str:
    """A note on the override that chose the component of the block a problem stands in."""
    if not problem.block_matters or not problem.path:
        return ""
    parent = problem.path[:-1]
    text = sources.overrides.get((*parent, "name"))
    if text is None or not parent:
        return ""
    return (
        f" The override '{text}' chose this; "
        f"to replace the whole block write {dotted(parent)}='{{name: {text.partition('=')[2]}}}'."
    )
