"""What ``run``, ``resume`` and ``demo`` share: ending a run well, however it ends."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from fedzda.platform.cli.progress import Progress, figure, primary_metric

if TYPE_CHECKING:
    from fedzda.platform.runs import Run


@contextmanager
def resumable(progress: Progress) -> Iterator[None]:
    """If the run inside ends early, say where it lies and how to go on with it."""
    try:
        yield
    except (Exception, KeyboardInterrupt):
        progress.close()
        # after wrong input there is none any more: nothing was done that one could go on with
        if progress.run_folder is not None and progress.run_folder.exists():
            typer.echo(f"run folder: {progress.run_folder}", err=True)
            typer.echo(f"go on with: fedzda resume {progress.run_folder}", err=True)
        raise
    finally:
        progress.close()


def closing_lines(run: Run) -> list[str]:
    """What is printed when a run is done; the run folder comes last."""
    metrics = run.summary["metrics"]
    name = primary_metric(metrics)
    lines = []
    if name is not None:
        found = metrics[name]
        lines.append(
            f"{name} over {found['n']} clients: mean {figure(found['mean'])}, "
            f"worst 10 % {figure(found['worst10'])}, best 10 % {figure(found['best10'])}"
        )
    if stopped := run.summary.get("stopped"):
        lines.append(f"stopped after round {stopped['round']}: {stopped['reason']}")
    if spent := run.summary.get("privacy"):
        lines.append(privacy_line(spent))
    report = Path(run.path) / "report.html"
    if report.exists():
        lines.append(f"report:     {report}")
    return [*lines, f"run folder: {run.path}"]


def privacy_line(spent: dict[str, Any]) -> str:
    """What a private run guarantees, from its summary."""
    if spent["epsilon"] is None:
        return "privacy: no guarantee, because no noise was added"
    return (
        f"privacy: epsilon {spent['epsilon']:.3g} at delta {spent['delta']:g} "
        f"(neighbours: {spent['neighbours']}, amplification: {spent['amplification']})"
    )
