"""Weights & Biases, offline unless ``mode: online`` is set."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from typing import Any

from fedzda.platform.trackers.base import TrackedRun, Tracker
from fedzda.platform.trackers.config import WandbConfig


class Wandb(Tracker):
    """A W&B run with the identity of the run folder, so that a resumed run goes on with it.

    Nothing but the numbers and the configuration is handed over: no code, no git state, no
    machine figures, no console output, no error reports.
    """

    config: WandbConfig

    def open(self, run: TrackedRun) -> None:
        """Begin or go on; offline, a resumed run adds a folder that is synced with the first."""
        os.environ["WANDB_ERROR_REPORTING"] = "false"  # before the import, which reads it
        import wandb

        settings = wandb.Settings(
            console="off",
            disable_code=True,
            disable_git=True,
            silent=True,
            x_disable_machine_info=True,
            x_disable_meta=True,
            x_disable_stats=True,
            x_save_requirements=False,
        )
        self.run: Any = wandb.init(
            project=self.config.project,
            entity=self.config.entity,
            mode=self.config.mode,
            tags=self.config.tags,
            name=run.folder.name,
            id=hashlib.sha256(run.folder.name.encode()).hexdigest()[:16],
            resume="allow",
            dir=str(run.folder),
            config=run.config,
            settings=settings,
        )

    def log(self, round_: int, values: Mapping[str, float]) -> None:
        """One step per round; W&B passes over rounds that it has seen."""
        self.run.log(dict(values), step=round_)

    def close(self, state: str, values: Mapping[str, float], rounds: int) -> None:
        """Final figures go to the summary."""
        self.run.summary.update({**values, "state": state})
        self.run.finish(exit_code=0 if state == "finished" else 1)
