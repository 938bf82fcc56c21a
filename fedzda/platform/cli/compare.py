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
) -> None:
    """Show runs side by side.

    First how their configurations differ, then how well their clients are served.
    """
    from fedzda.platform.compare import compare_runs

    comparison = compare_runs(runs)
    typer.echo(comparison.text())
    if csv is not None:
        comparison.csv(csv)
        typer.echo(f"wrote {csv}")
