"""The configuration reference: every key of every block, from the classes that check them."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from typing import Any

from markup import cell

from fedzda.base import StrictConfig
from fedzda.platform import plugins
from fedzda.platform.cli.fields import default_text, field_text
from fedzda.platform.cli.kinds import KINDS
from fedzda.platform.config import SimulationConfig, slots
from fedzda.platform.config.problems import block_classes

_FOLDER = "reference/configuration"


def pages() -> dict[str, str]:
    """One page for the whole configuration and one per kind of component: path to Markdown."""
    kinds = [kind for kind in KINDS if plugins.entries(kind)]
    made = {f"{_FOLDER}/{kind}.md": _kind_page(kind) for kind in kinds}
    return {f"{_FOLDER}/index.md": _whole(kinds), **made}


def _whole(kinds: list[str]) -> str:
    listed = ", ".join(f"[{kind}]({kind}.md)" for kind in kinds)
    parts = [
        "# Configuration",
        "Every key of a simulation's YAML file, from the classes that check it. On the command "
        "line a key is written with dots: `fedzda run sim.yaml local.batch_size=32`. `fedzda "
        "explain KEY` prints what stands here; `fedzda schema` writes a schema for editors.",
        f"Components, chosen by `name:`, have pages of their own: {listed}.",
        "## The whole file",
        _table(SimulationConfig),
    ]
    for key, block in _blocks(SimulationConfig, ""):
        parts += [f"## `{key}`", _about(block), _table(block)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _kind_page(kind: str) -> str:
    where = [key for key, slot in _all_slots(SimulationConfig, "") if slot.kind == kind]
    keys = ", ".join(f"`{key}`" for key in dict.fromkeys(where))
    parts = [f"# {kind.capitalize()}"]
    if keys:
        parts.append(f"Chosen by `name:` under {keys}.")
    for name, entry in sorted(plugins.entries(kind).items()):
        block = plugins.config_class(kind, name)
        summary = entry.summary[:1].upper() + entry.summary[1:].rstrip(".")
        about = _about(block)
        parts += [f"## `{name}`", f"{summary}.", "" if about == f"{summary}." else about]
        parts.append(_table(block))
        for key, inner in _blocks(block, ""):
            parts += [f"### `{name}`: `{key}`", _about(inner), _table(inner)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _blocks(block: type[StrictConfig], path: str) -> Iterator[tuple[str, type[StrictConfig]]]:
    """Blocks inside a block that name no component, at any depth, with their dotted keys."""
    chosen = slots(block)
    for key, field in block.model_fields.items():
        if key in chosen:
            continue
        inner = block_classes(field.annotation)
        for found in inner:
            name = found.model_fields.get("name") if len(inner) > 1 else None
            where = f"{path}{key}" + (f": {name.default}" if name else "")
            yield where, found
            yield from _blocks(found, f"{path}{key}.")


def _all_slots(block: type[StrictConfig], path: str) -> Iterator[tuple[str, Any]]:
    for key, slot in slots(block).items():
        yield f"{path}{key}", slot
        for inner in block_classes(block.model_fields[key].annotation):
            yield from _all_slots(inner, f"{path}{key}.")


def _table(block: type[StrictConfig]) -> str:
    fields = {key: field for key, field in block.model_fields.items() if key != "name"}
    if block is SimulationConfig:
        fields = dict(block.model_fields)
    chosen = slots(block)
    if not fields:
        return "It has no keys but its name."
    rows = ["| key | value | default | meaning |", "|---|---|---|---|"]
    for key, field in fields.items():
        head = field_text(key, field).splitlines()[0].removeprefix(f"{key}: ")
        default = default_text(field)
        value = cell(head.removesuffix(f"; {default}"))
        if key in chosen:
            value = value.replace(
                "block of keys", f"one of the [{chosen[key].kind}]({chosen[key].kind}.md)"
            )
        elif isinstance(field.default, StrictConfig):
            default = "that of its keys"
        rows.append(f"| `{key}` | {value} | {_default(default)} | {_plain(field)} |")
    return "\n".join(rows)


def _default(text: str) -> str:
    value = text.removeprefix("default ")
    return f"`{value}`" if value != text else text


def _plain(field: Any) -> str:
    return cell(_code(" ".join((field.description or "").split())))


def _about(block: type[StrictConfig]) -> str:
    own = block.__doc__
    return _code(inspect.cleandoc(own)) if own else ""


def _code(text: str) -> str:
    """Docstring markup as Markdown; HTML in it stays text."""
    text = re.sub(r":\w+:`~?([^`]+)`", r"`\1`", text).replace("``", "`")
    return text.replace("<", "&lt;") if "`" not in text else text
