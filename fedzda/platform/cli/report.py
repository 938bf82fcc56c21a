"""``fedzda report``: rebuild a run's report from its files."""

from __future__ import annotations

from typing import Annotated

import typer


def report(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run folder.")],
) -> None:
    """Rebuild a run's report from its files."""
    from fedzda.platform.report.build import build_report
    from fedzda.platform.runs import load

    typer.echo(build_report(load(run).path))
