"""Run the folder of a Flower app with our engines, records and report.

>>> FlowerAppRun.build(Path("my-app")).run()                     # doctest: +SKIP
"""

from __future__ import annotations

import shutil
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fedzda.base import FedzdaError, RunError, UserError
from fedzda.platform.engines.grid import ErrorPolicy
from fedzda.platform.files import write_json
from fedzda.platform.flower.app import run_apps
from fedzda.platform.flower.config import FlowerRunConfig, flower_config, folder_of
from fedzda.platform.flower.project import read_project, with_overrides
from fedzda.platform.flower.records import AppRecords
from fedzda.platform.heartbeat import beating
from fedzda.platform.lock import sole_player
from fedzda.platform.logs import log_to
from fedzda.platform.runs import Run, RunFolder
from fedzda.platform.trackers.callback import check_installed, tracking


class FlowerAppRun:
    """A checked run of a Flower app. Made by :meth:`build`."""

    def __init__(self, config: FlowerRunConfig, overrides: Sequence[str]) -> None:
        self.config = config
        self.overrides = list(overrides)

    @classmethod
    def build(
        cls, folder: Path, run_config: str = "", overrides: Sequence[str] = ()
    ) -> FlowerAppRun:
        """Read the app's project; its modules are imported when it runs.

        Args:
            folder: Folder with the ``pyproject.toml``.
            run_config: Changes of the app's configuration, as ``flwr run --run-config`` takes them.
            overrides: ``key=value`` of :class:`FlowerRunConfig`.

        Raises:
            UserError: The folder holds no Flower app, or a change fits no key.
        """
        project = read_project(folder)
        changed = with_overrides(project.run_config, run_config)
        config = flower_config(project, changed, overrides)
        check_installed(config.trackers)
        return cls(config, overrides)

    def run(self, callbacks: Sequence[Any] = ()) -> Run:
        """Run the app to its end in a new run folder.

        Raises:
            UserError: An app cannot be imported, or a tracker cannot be opened.
            RunError: A client or the ServerApp failed.
        """
        config: Any = self.config
        folder = RunFolder.new(config)
        folder.describe(config, folder_of(self.config), self.overrides)
        try:
            with sole_player(folder.path):
                return self._play(folder, [*callbacks, *tracking(self.config.trackers)])
        except UserError:
            if not folder.rounds.exists():
                shutil.rmtree(folder.path, ignore_errors=True)  # nothing in it worth keeping
            raise

    def _play(self, folder: RunFolder, callbacks: Sequence[Any]) -> Run:
        config, started = self.config, time.perf_counter()
        records = AppRecords(folder, config.seed, lambda row: self._told(folder, callbacks, row))
        state = "failed"
        with log_to(folder.path / "run.log"), beating(folder.path / "status.json"):
            folder.status("starting", 0, config.rounds)
            try:
                _tell(callbacks, "start", self, folder.path)
                self._run_apps(records)
                records.end_round()
                summary = self._summary(folder, records, time.perf_counter() - started)
                state = "finished"
            except KeyboardInterrupt:
                state = "interrupted"
                raise
            finally:
                folder.status(state, records.round, max(config.rounds, records.round))
                folder.finish_meta(state)
                if state != "finished":
                    _tell(callbacks, "abort", state)
        _tell(callbacks, "finish", summary)
        return Run(folder.path)

    def _run_apps(self, records: AppRecords) -> None:
        config = self.config
        try:
            run_apps(
                config.flower_app.serverapp,
                config.flower_app.clientapp,
                config.clients,
                engine=config.engine,
                run_config=config.run_config,
                seed=config.seed,
                folder=folder_of(config),
                observe=records.observe,
                policy=ErrorPolicy(config.on_client_error, config.min_success),
            )
        except FedzdaError:
            raise
        except Exception as error:
            raise RunError(f"the ServerApp failed:\n{traceback.format_exc()}") from error

    def _told(self, folder: RunFolder, callbacks: Sequence[Any], row: dict[str, Any]) -> None:
        total = max(self.config.rounds, row["round"])
        row["eta_sec"] = row["seconds"]["total"] * (total - row["round"])
        folder.status("running", row["round"], total, row["eta_sec"])
        _tell(callbacks, "round", row, total)

    def _summary(self, folder: RunFolder, records: AppRecords, total_sec: float) -> dict[str, Any]:
        """Write summary.json and report.html; returns the summary."""
        config, metrics = self.config, records.metrics()
        spent = sum(records.seconds.values())
        summary = {
            "state": "finished",
            "name": config.name,
            "seed": config.seed,
            "rounds": records.round,
            "stopped": None,
            "stage": "global",
            "metrics": metrics,
            "personalised": {},
            "global_test": {},
            "by_device": {},
            "by_variant": {},
            "groups": None,
            "virtual": None,
            "seconds": {**records.seconds, "startup": total_sec - spent, "total": total_sec},
            "bytes": records.bytes,
            "failures": records.failures,
            "privacy": None,
        }
        write_json(folder.path / "summary.json", summary)
        if config.report:
            from fedzda.platform.report.build import build_report

            build_report(folder.path)
        return summary


def _tell(callbacks: Sequence[Any], what: str, *arguments: Any) -> None:
    for callback in callbacks:
        if hasattr(callback, what):
            getattr(callback, what)(*arguments)
