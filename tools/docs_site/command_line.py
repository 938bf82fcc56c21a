"""The command-line reference, from the commands themselves."""

from __future__ import annotations

import inspect
from typing import Any, get_type_hints

import click
from markup import cell
from typer.main import get_command
from typer.models import ArgumentInfo

from fedzda.platform.cli.app import app


def pages() -> dict[str, str]:
    """One page with all commands: path to Markdown."""
    group: Any = get_command(app)
    parts = [
        "# Command line",
        "Made of the commands themselves; on a terminal: `fedzda COMMAND --help`. Exit codes: 0 "
        "done, 1 failed while running, 2 the input is wrong (all problems are listed), 130 "
        "interrupted.",
    ]
    for name, command in commands(group, "fedzda"):
        parts.append(_section(name, command))
    return {"reference/commands.md": "\n\n".join(parts) + "\n"}


def commands(group: Any, prefix: str) -> list[tuple[str, Any]]:
    """All visible commands below a group, with the words that call them."""
    found: list[tuple[str, Any]] = []
    context = click.Context(group, info_name=prefix)
    for name in group.list_commands(context):
        command = group.resolve_command(context, [name])[1]
        if command.hidden:
            continue
        if hasattr(command, "list_commands"):
            found += commands(command, f"{prefix} {name}")
        else:
            found.append((f"{prefix} {name}", command))
    return found


def _section(name: str, command: Any) -> str:
    context = click.Context(command, info_name=name)
    usage = command.get_usage(context).removeprefix("Usage: ")
    about = inspect.cleandoc(command.help or "")
    said = _argument_help(command)
    rows = [row for each in command.params if (row := _row(each, context, said))]
    table = "\n".join(["| argument, option | meaning |", "|---|---|", *rows]) if rows else ""
    parts = [f"## `{name}`", f"```text\n{usage}\n```", about, table]
    return "\n\n".join(part for part in parts if part)


def _argument_help(command: Any) -> dict[str, str]:
    """Help texts of arguments, which typer 0.20 loses where click is 8.5."""
    hints = get_type_hints(inspect.unwrap(command.callback), include_extras=True)
    return {
        name: mark.help
        for name, hint in hints.items()
        for mark in getattr(hint, "__metadata__", ())
        if isinstance(mark, ArgumentInfo) and mark.help
    }


def _row(parameter: Any, context: Any, said: dict[str, str]) -> str:
    record = parameter.get_help_record(context)
    if record is None or "--help" in parameter.opts:
        return ""
    # typer escapes the brackets of defaults for rich, which prints nothing here
    words, text = (" ".join(part.split()).replace("\\[", "[") for part in record)
    about = said.get(parameter.name, "")
    return f"| `{words}` | {cell(text if about in text else f'{about} {text}')} |"
