"""The ServerApp of a deployed simulation: our round loop, with SuperNodes as its clients."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from flwr.app import Context
from flwr.serverapp import Grid, ServerApp
from rich.console import Console

from fedzda.base import UserError
from fedzda.platform.cli.progress import Progress
from fedzda.platform.deployment.read import WAIT, read
from fedzda.platform.engines.deployed import DeployedEngine
from fedzda.platform.runs import Run
from fedzda.platform.simulation import Simulation

_WAIT_SEC = 600.0


def server_app(sim: Path) -> ServerApp:
    """Runs the simulation in ``sim`` with one SuperNode per client, and writes a run folder."""
    app = ServerApp()

    @app.main()
    def main(grid: Grid, context: Context) -> None:
        serve(sim, grid, context.run_config)

    return app


def serve(sim: Path, grid: Grid, run_config: Mapping[str, Any]) -> Run:
    """Wait for the clients and run all rounds.

    Args:
        sim: The app's ``sim.yaml``.
        grid: Flower's grid to the SuperNodes.
        run_config: ``overrides`` and ``wait-sec`` (seconds, above 0).

    Raises:
        UserError: The simulation is wrong or cannot be deployed, or ``wait-sec`` is no such number.
        RunError: The clients are not there in time, or the run failed.
    """
    loaded = read(sim, run_config)
    wait_sec = run_config.get(WAIT, _WAIT_SEC)
    if isinstance(wait_sec, bool) or not isinstance(wait_sec, int | float) or wait_sec <= 0:
        raise UserError(f"{WAIT} must be a number of seconds above 0 (got {wait_sec!r}).")
    simulation = Simulation.build(loaded.config, loaded.folder, loaded.overrides)
    simulation.make_engine = partial(DeployedEngine, grid=grid, wait_sec=float(wait_sec))
    # a line per round for Flower's log, even where the SuperLink was started from a terminal
    console = Console(highlight=False, soft_wrap=True, force_terminal=False)
    return simulation.run([Progress(console=console)])
