"""``fedzda export``: what other programs can read. Further exports stand in the catalogue."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from fedzda.platform.cli.lazy import ExportGroup

export = typer.Typer(
    cls=ExportGroup,
    no_args_is_help=True,
    suggest_commands=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@export.callback()
def options() -> None:
    """Write a run in a form that other programs read."""


@export.command("records")
def records(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.")],
    format: Annotated[
        Literal["csv", "parquet"], typer.Option("--format", help="Kind of files.")
    ] = "csv",
    out: Annotated[
        Path,
        typer.Option("--out", metavar="FOLDER", help="Where to write; made if it is not there."),
    ] = Path("records"),
) -> None:
    """Write a run's records as two tables.

    clients has a row per round, phase, client, split, stage and metric; rounds a row per round.
    """
    from fedzda.platform.export_records import export_records

    for path in export_records(run, out, format):
        typer.echo(f"wrote {path}")
