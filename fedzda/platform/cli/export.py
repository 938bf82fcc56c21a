"""``fedzda export``: what other programs can read. Further exports stand in the catalogue."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from fedzda.platform.cli.lazy import ExportGroup
from fedzda.platform.cli.text import Overrides, Source

export = typer.Typer(
    cls=ExportGroup,
    no_args_is_help=True,
    suggest_commands=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@export.callback()
def options() -> None:
    """Write runs, models and simulations for other programs."""


@export.command("records")
def records(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder.")],
    format: Annotated[
        Literal["csv", "parquet"], typer.Option("--format", help="Kind of files.")
    ] = "csv",
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            metavar="FOLDER",
            help="Where to write; made if it is not there. Left out: records/ and the run's name.",
        ),
    ] = None,
) -> None:
    """Write a run's records as two tables.

    clients has a row per round, phase, client, split, stage and metric; rounds a row per round.
    """
    from fedzda.platform.export_records import export_records

    folder = out or Path("records") / run.resolve().name
    for path in export_records(run, folder, format):
        typer.echo(f"wrote {path}")


@export.command("app")
def app(
    source: Source,
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Where to write; a new or empty folder.")
    ],
    overrides: Overrides = None,
) -> None:
    """Write a simulation as a Flower app.

    flwr run plays it on a SuperLink, with a SuperNode on a machine of its own for every client.
    """
    from fedzda.platform.config.load import load_config
    from fedzda.platform.deployment.write import write_app

    loaded = load_config(source, list(overrides or []))
    written = write_app(loaded, folder)
    for path in written.files:
        typer.echo(f"wrote {written.folder / path}")
    typer.echo(f"engine '{loaded.config.engine.name}' stays behind: SuperNodes run the clients.")
    typer.echo(
        f"start {written.clients} SuperNodes, with --node-config 'partition-id=0' to "
        f"'partition-id={written.clients - 1}', then: flwr run {written.folder} CONNECTION --stream"
    )
