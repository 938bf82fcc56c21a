"""Text for people: tables, sizes, times, and the arguments that several commands share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from fedzda.platform.report.units import NBSP, size

Source = Annotated[
    str, typer.Argument(metavar="FILE|NAME", help="A YAML file, or a shipped simulation.")
]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(metavar="[a.b=value]...", help="Other values, for example rounds=5."),
]
Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", help="Print nothing but the run folder and errors.")
]


def table(rows: Sequence[Sequence[str]], indent: int = 0) -> str:
    """Rows as aligned columns, two blanks apart; trailing blanks are cut."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    margin = " " * indent
    return "\n".join(
        margin + "  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def human_bytes(count: float) -> str:
    """``12_300_000`` as ``12.3 MB`` (decimal units)."""
    return size(count).replace(NBSP, " ")


def human_time(seconds: float) -> str:
    """``75.2`` as ``1:15``, ``3_700`` as ``1:01:40``."""
    minutes, rest = divmod(max(round(seconds), 0), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
