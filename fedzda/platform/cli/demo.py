"""``fedzda demo``: the quickstart beside plain averaging, for ``make demo``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from fedzda.platform.cli.text import table

if TYPE_CHECKING:
    from fedzda.platform.runs import Run

_BASELINE, _METHOD = "quickstart-fed-avg", "quickstart"


def demo() -> None:
    """Run the quickstart and its FedAvg counterpart, and show both."""
    from fedzda.platform.cli.execute import resumable
    from fedzda.platform.cli.progress import Progress
    from fedzda.platform.config.load import load_config
    from fedzda.platform.simulation import Simulation

    done: dict[str, Run] = {}
    for name in (_BASELINE, _METHOD):
        loaded = load_config(name)
        progress = Progress()
        with resumable(progress):
            simulation = Simulation.build(loaded.config, folder=loaded.folder)
            done[name] = simulation.run(callbacks=[progress])
    typer.echo("\n" + table([_HEAD, *(_row(name, run) for name, run in done.items())]))
    typer.echo(f"\nreport:     {done[_METHOD].path / 'report.html'}")
    typer.echo(f"run folder: {done[_METHOD].path}")


_HEAD = ("simulation", "mean accuracy", "worst 10 %", "variance (pp²)")


def _row(name: str, run: Run) -> tuple[str, ...]:
    found = run.summary["metrics"]["accuracy"]
    return name, f"{found['mean']:.3f}", f"{found['worst10']:.3f}", f"{found['variance_pp2']:.1f}"
