"""``fedzda list``: what there is to choose from."""

from __future__ import annotations

import fnmatch
import re
from pathlib import Path
from typing import Annotated

import typer

from fedzda.platform.cli.text import table


def list_components(
    kind: Annotated[
        str | None,
        typer.Argument(metavar="[KIND]", help="strategies, models, datasets, … ; left out: all."),
    ] = None,
    pattern: Annotated[
        str,
        typer.Argument(metavar="[PATTERN]", help="Part of a name, or a pattern such as flwr-*."),
    ] = "*",
) -> None:
    """List what there is to choose from."""
    from fedzda.platform.cli.kinds import KINDS, SIMULATIONS, listable

    wanted = [listable(kind)] if kind else [*KINDS, SIMULATIONS]
    for found in wanted:
        rows = [row for row in _rows(found) if _matches(row[0], pattern)]
        if len(wanted) > 1:
            typer.echo(found)
        if rows:
            typer.echo(table(rows, indent=2))
        elif len(wanted) == 1:
            typer.echo(f"no {found} match '{pattern}'.")


def _rows(kind: str) -> list[tuple[str, str]]:
    from fedzda.platform.cli.kinds import SIMULATIONS

    if kind == SIMULATIONS:
        from fedzda.platform.config.load import shipped
        from fedzda.platform.lifecycle.load import shipped_lives

        known = sorted({**shipped(), **shipped_lives()}.items())
        return [(name, _first_sentence(path)) for name, path in known]
    from fedzda.platform.plugins import entries

    return [(name, entry.summary) for name, entry in sorted(entries(kind).items())]


def _matches(name: str, pattern: str) -> bool:
    return fnmatch.fnmatch(name, pattern) or pattern in name


def _first_sentence(path: Path) -> str:
    """That of the comment with which a shipped file begins, which says what it is."""
    block = re.match(r"(#.*[^#\s].*\n)*", path.read_text(encoding="utf-8"))
    assert block is not None
    text = " ".join(line.lstrip("# ") for line in block[0].splitlines())
    return re.split(r"\.\s+(?=[A-Z])", text, maxsplit=1)[0].strip().rstrip(".")
