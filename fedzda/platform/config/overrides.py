"""Dotted overrides of a configuration: ``data.partition.alpha=0.1``."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from fedzda.base import UserError
from fedzda.platform.config.yaml_loader import KeyPath, parse_value


@dataclass
class Sources:
    """Where each value of a configuration came from.

    Attributes:
        label: What errors call the file.
        lines: Line of each key that the file states.
        overrides: Text of the override that set a key, and everything below that key.
        given: All overrides, in the order they were given.
    """

    label: str
    lines: dict[KeyPath, int] = field(default_factory=dict)
    overrides: dict[KeyPath, str] = field(default_factory=dict)
    given: list[str] = field(default_factory=list)

    def override_of(self, path: KeyPath) -> str | None:
        """The override that set ``path`` or a block around it."""
        for length in range(len(path), 0, -1):
            if path[:length] in self.overrides:
                return self.overrides[path[:length]]
            if path[:length] in self.lines:
                return None
        return None

    def line_of(self, path: KeyPath) -> int:
        """The line of ``path``, or of the nearest block around it that the file states."""
        for length in range(len(path), 0, -1):
            if path[:length] in self.lines:
                return self.lines[path[:length]]
        return 1

    def take_over(self, path: KeyPath, text: str) -> None:
        """From now on, ``path`` and everything below it comes from the override ``text``."""
        size = len(path)
        self.lines = {key: line for key, line in self.lines.items() if key[:size] != path}
        self.overrides = {key: old for key, old in self.overrides.items() if key[:size] != path}
        self.overrides[path] = text


def apply_overrides(
    data: Any, overrides: Sequence[str], sources: Sources
) -> tuple[Any, list[tuple[str, str]]]:
    """``data`` with the overrides applied in order; ``sources`` learns what they set.

    Blocks that the file does not have are made; items of a list are named by index.

    Returns:
        The new data, and ``(override, sentence)`` of every override that cannot be applied.
    """
    data = copy.deepcopy(data)
    sources.given += overrides
    problems: list[tuple[str, str]] = []
    for text in overrides:
        try:
            path, value = parse_override(text)
            where = _put(data, path, value)
        except UserError as error:
            problems += [(text, sentence) for sentence in error.problems]
        else:
            sources.take_over(where, text)
    return data, problems


def parse_override(text: str) -> tuple[list[str], Any]:
    """Key path and value of ``a.b=value``. Raises UserError where it has no such form."""
    key, equals, value = text.partition("=")
    parts = key.strip().split(".")
    if not equals or not all(parts):
        raise UserError("must have the form key=value, for example local.epochs=2.")
    try:
        return parts, parse_value(value)
    except UserError as error:
        raise UserError(f"the value cannot be read: {error.problems[0]}") from error


def _put(data: Any, parts: list[str], value: Any) -> KeyPath:
    """Set one value in place and return its path, list indices as integers."""
    here, path = data, list[str | int]()
    for depth, part in enumerate(parts):
        key = _key(here, part, ".".join(parts[:depth]))
        path.append(key)
        if depth == len(parts) - 1:
            here[key] = value
        else:
            if isinstance(here, dict) and here.get(str(key)) is None:
                here[key] = {}
            here = here[key]
    return tuple(path)


def _key(here: Any, part: str, dotted: str) -> str | int:
    if isinstance(here, dict):
        return part
    if not isinstance(here, list):
        raise UserError(f"'{dotted}' is a single value, so it has no key '{part}'.")
    if not part.isdecimal() or int(part) >= len(here):
        indices = f"0 to {len(here) - 1}" if here else "none, it is empty"
        raise UserError(f"'{dotted}' is a list, so '{part}' must be an index ({indices}).")
    return int(part)
