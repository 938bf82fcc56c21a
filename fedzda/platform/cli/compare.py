"""``fedzda compare``: runs side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def compare(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN RUN...", help="Run folders.")],
    csv: Annotated[
        Path | None, typer.Option("--csv", metavar="FILE", help="Write the table there, too.")
    ] = None,
    local: Annotated[
        Path | None,
        typer.Option("--local", metavar="RUN", help="A local-only run: show the gain over it."),
    ] = None,
) -> None:
    """Show runs side by side.

    First how their configurations differ, then how well their clients are served.
    """
    from fedzda.platform.compare import compare_runs

    comparison = compare_runs(runs)
    typer.echo(comparison.text())
    if local is not None:
        from fedzda.platform.gains import sentence

        typer.echo("\n" + "\n".join(sentence(run, local) for run in runs))
    if csv is not None:
        comparison.csv(csv)
        typer.echo(f"wrote {csv}")
