"""``fedzda compare``: runs side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def compare(
    runs: Annotated[
        list[Path],
        typer.Argument(metavar="RUN RUN...", help="Run folders, or results folders of sweeps."),
    ],
    export: Annotated[
        list[Path] | None,
        typer.Option(
            "--export",
            metavar="FILE",
            help="Write the tables there, too: .csv, .md or .tex; repeatable.",
        ),
    ] = None,
    baseline: Annotated[
        str | None,
        typer.Option(
            "--baseline", metavar="NAME", help="What differences are taken to; else the first."
        ),
    ] = None,
    local: Annotated[
        Path | None,
        typer.Option("--local", metavar="RUN", help="A local-only run: show the gain over it."),
    ] = None,
) -> None:
    """Show runs side by side.

    First how their configurations differ, then how well their clients are served. Runs that differ
    only in the seed are one line, with 95 % intervals over seeds.
    """
    from fedzda.platform.compare import compare_runs
    from fedzda.platform.compare.export import export as write

    comparison = compare_runs(runs, baseline)
    typer.echo(comparison.text())
    for path in export or []:
        write(comparison, path)
        typer.echo(f"wrote {path}")
    if local is not None:
        _tell_gains(runs, local)


def _tell_gains(runs: list[Path], local: Path) -> None:
    """A line for every run; then what is wrong with those that cannot be compared, if any."""
    from fedzda.base import UserError
    from fedzda.platform.gains import sentence

    problems: list[str] = []
    typer.echo("")
    for run in runs:
        try:
            typer.echo(sentence(run, local))
        except UserError as error:
            problems += [problem for problem in error.problems if problem not in problems]
    if problems:
        raise UserError(*problems)
