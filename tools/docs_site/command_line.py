"""The command-line reference, from the commands themselves."""

from __future__ import annotations

import inspect
from typing import Any

import click
from markup import cell
from typer.main import get_command

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
    rows = [row for each in command.params if (row := _row(each, context))]
    table = "\n".join(["| argument, option | meaning |", "|---|---|", *rows]) if rows else ""
    parts = [f"## `{name}`", f"```text\n{usage}\n```", about, table]
    return "\n\n".join(part for part in parts if part)


def _row(parameter: Any, context: Any) -> str:
    record = parameter.get_help_record(context)
    if record is None or "--help" in parameter.opts:
        return ""
    words, text = (" ".join(part.split()) for part in record)
    return f"| `{words}` | {cell(text)} |"
