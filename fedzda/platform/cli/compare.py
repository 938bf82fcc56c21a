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
    if local is not None:
        from fedzda.platform.gains import sentence

        typer.echo("\n" + "\n".join(sentence(run, local) for run in runs))
    for path in export or []:
        write(comparison, path)
        typer.echo(f"wrote {path}")
