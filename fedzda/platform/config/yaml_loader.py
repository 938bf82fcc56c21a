"""YAML 1.2 with line numbers, on top of PyYAML's scanner and parser.

PyYAML follows YAML 1.1, where ``1e-3`` is a string, ``yes`` a boolean, ``010`` the number 8,
``1:30`` the number 90, and the last of two equal keys wins without a word. Here plain scalars
follow the core schema of YAML 1.2 (section 10.3), and equal keys are an error.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from fedzda.base import UserError

KeyPath = tuple[str | int, ...]
"""Where a value stands: ``("data", "partition", "alpha")``; list items by index."""

_TAG = "tag:yaml.org,2002:"
_BOOLS = ("true", "True", "TRUE")


class Yaml12Loader(yaml.SafeLoader):
    """A SafeLoader whose plain scalars follow YAML 1.2. Used for scanning and composing only."""

    yaml_implicit_resolvers = {}  # noqa: RUF012  (an own table, so that PyYAML's stays untouched)


class _Dumper(yaml.SafeDumper):
    """Quotes every text that YAML 1.1 or 1.2 would read as something else."""

    yaml_implicit_resolvers = {  # noqa: RUF012
        first: list(found) for first, found in yaml.SafeDumper.yaml_implicit_resolvers.items()
    }


for _name, _pattern, _first in [
    ("null", r"null|Null|NULL|~|", ["n", "N", "~", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", list("-+0123456789")),
    (
        "float",
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        list("-+.0123456789"),
    ),
]:
    for _class in (Yaml12Loader, _Dumper):
        _class.add_implicit_resolver(_TAG + _name, re.compile(f"(?:{_pattern})$"), _first)


@dataclass
class Document:
    """What a YAML text holds.

    Attributes:
        data: Plain Python data: mappings, lists, str, int, float, bool, None.
        lines: Line (from 1) of each key and each list item.
        problems: ``(line, sentence)`` of what can be read but must not stand, such as equal keys.
    """

    data: Any = None
    lines: dict[KeyPath, int] = field(default_factory=dict)
    problems: list[tuple[int, str]] = field(default_factory=list)


def load_file(path: Path, label: str | None = None) -> Document:
    """Read a UTF-8 YAML file.

    Args:
        path: The file.
        label: What errors call it; left out: the path as given.

    Raises:
        UserError: The file cannot be read, or is not YAML.
    """
    label = label or str(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(
            f"{label}: is not UTF-8 text ({error.reason}). Save it as UTF-8."
        ) from error
    except OSError as error:
        raise UserError(f"{label}: cannot be read: {error.strerror or error}.") from error
    return load_text(text, label)


def load_text(text: str, label: str) -> Document:
    """Read YAML text; ``label`` is what errors call it. Raises UserError on a syntax error."""
    document = Document()
    try:
        root = yaml.compose(text, Loader=Yaml12Loader)
        if root is not None:
            document.data = _build(root, (), document, set())
    except yaml.MarkedYAMLError as error:
        raise UserError(f"{label}:{_line_of(error)}: {_sentence(error)}") from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        problem = f"character U+{error.character:04X} is not allowed in YAML"
        raise UserError(f"{label}:{line}: {problem}. Remove it.") from error
    except RecursionError as error:
        raise UserError(f"{label}: is nested too deeply to be read.") from error
    return document


def parse_value(text: str) -> Any:
    """The value of one override, by the rules of the file: ``1e-3``, ``[1, 2]``, ``{name: iid}``.

    Raises:
        UserError: The text is not YAML.
    """
    label = "value"
    try:
        document = load_text(text, label)
    except UserError as error:
        place = re.compile(rf"^{label}(:\d+)?: ")
        raise UserError(*(place.sub("", problem) for problem in error.problems)) from error
    if document.problems:
        raise UserError(*(sentence for _, sentence in document.problems))
    return document.data


def dump(data: Any) -> str:
    """Plain data as YAML that this module, and readers of YAML 1.1, read back unchanged."""
    text: str = yaml.dump(
        data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, default_flow_style=False
    )
    return text


def _build(node: yaml.Node, path: KeyPath, document: Document, open_nodes: set[int]) -> Any:
    if id(node) in open_nodes:
        raise _error(node, "an alias (*) stands inside its own anchor (&)")
    if isinstance(node, yaml.ScalarNode):
        return _scalar(node)
    inside = open_nodes | {id(node)}
    if isinstance(node, yaml.SequenceNode):
        _expect_tag(node, "seq")
        for index, item in enumerate(node.value):
            document.lines[(*path, index)] = item.start_mark.line + 1
        return [
            _build(item, (*path, index), document, inside) for index, item in enumerate(node.value)
        ]
    _expect_tag(node, "map")
    return {
        key: _build(value, (*path, key), document, inside)
        for key, value in _unique_keys(node, path, document)
    }


def _unique_keys(
    node: yaml.Node, path: KeyPath, document: Document
) -> Iterator[tuple[str, yaml.Node]]:
    """Key and value of a mapping, first occurrences only; later ones become problems."""
    for key_node, value in node.value:
        line = key_node.start_mark.line + 1
        if not isinstance(key_node, yaml.ScalarNode) or not isinstance(_scalar(key_node), str):
            shown = getattr(key_node, "value", "")
            shown = shown if isinstance(shown, str) else "[…]"
            note = "; put it in quotes"
            if re.fullmatch(r"[0-9]+", shown) and _left_out(value):
                note = "; a decimal number has a point, a comma begins the next key"
            raise _error(key_node, f"the key {shown or '(empty)'} is not text{note}")
        key = key_node.value
        if ":" in key and key_node.style is None and _left_out(value):
            first, _, rest = key.partition(":")
            raise _error(key_node, f"a blank is missing in '{key}'. Write '{first}: {rest}'")
        where = (*path, key)
        if where in document.lines:
            dotted = ".".join(map(str, where))
            first = document.lines[where]
            document.problems.append(
                (line, f"key '{dotted}' stands twice (first in line {first}). Remove one of them.")
            )
            continue
        document.lines[where] = line
        yield key, value


def _left_out(node: yaml.Node) -> bool:
    """Whether nothing stands where a value should."""
    return isinstance(node, yaml.ScalarNode) and node.style is None and not node.value


def _number(text: str) -> int:
    digits = text.lstrip("+-")
    base = {"0x": 16, "0o": 8}.get(digits[:2], 10)
    return int(text, base)


def _float(text: str) -> float:
    return float(text.replace(".inf", "inf").replace(".nan", "nan"))


_SCALARS: dict[str, Callable[[str], Any]] = {
    "null": lambda text: None,
    "bool": lambda text: text in _BOOLS,
    "int": _number,
    "float": lambda text: _float(text.lower()),
    "str": str,
}


def _scalar(node: yaml.ScalarNode) -> Any:
    convert = _SCALARS.get(node.tag.removeprefix(_TAG))
    if convert is None:
        raise _error(node, f"the tag {node.tag} is not supported; write plain values")
    try:
        return convert(node.value)
    except ValueError as error:
        kind = node.tag.removeprefix(_TAG)
        raise _error(node, f"'{node.value[:40]}' cannot be read as {kind}") from error


def _expect_tag(node: yaml.Node, kind: str) -> None:
    if node.tag != _TAG + kind:
        raise _error(node, f"the tag {node.tag} is not supported; write plain values")


class _OurError(yaml.MarkedYAMLError):
    """An error whose ``problem`` is already a full sentence."""


def _error(node: yaml.Node, problem: str) -> _OurError:
    return _OurError(problem=problem, problem_mark=node.start_mark)


def _line_of(error: yaml.MarkedYAMLError) -> int:
    mark = error.problem_mark or error.context_mark
    return mark.line + 1 if mark else 1


def _sentence(error: yaml.MarkedYAMLError) -> str:
    """PyYAML's words in one sentence, with a hint for the mistakes that are made most often."""
    problem = (error.problem or "is not YAML").rstrip(".")
    if isinstance(error, _OurError):
        return f"{problem}."
    if "\\t" in problem:
        return "a tab is used to indent, or stands between words. Use spaces."
    values = "mapping values are not allowed" in problem
    if (values and _begins_line(error)) or "but found '<block" in problem:
        return "the line is not indented like those above it. Give keys of a block one indent."
    if values:
        return "a second ':' in one line. Put the value in quotes, or start a new line."
    if "expected a single document" in str(error):
        return "a second document starts here ('---'). One file holds one simulation."
    context = f" {error.context}" if error.context else ""
    begin = error.context_mark
    if context and begin and begin.line + 1 != _line_of(error):
        context += f" that begins in line {begin.line + 1}"
    return f"not valid YAML: {problem}{context}. Check indentation, quotes and brackets."


def _begins_line(error: yaml.MarkedYAMLError) -> bool:
    """Whether nothing but a key stands before the place of an error in its line."""
    mark = error.problem_mark
    if mark is None or mark.buffer is None:
        return False
    return ":" not in mark.buffer[mark.pointer - mark.column : mark.pointer]
