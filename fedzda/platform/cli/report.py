"""``fedzda report``: rebuild a run's report from its files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def report(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run folder.")],
    local: Annotated[
        Path | None,
        typer.Option("--local", metavar="RUN", help="A local-only run: show gain against cost."),
    ] = None,
) -> None:
    """Rebuild a run's report from its files."""
    from fedzda.platform.cli.life import report_life
    from fedzda.platform.lifecycle.runner import is_life
    from fedzda.platform.report.build import build_report
    from fedzda.platform.runs import load

    if is_life(run):
        report_life(run)
        return
    typer.echo(build_report(load(run).path, local))
