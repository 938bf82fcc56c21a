"""TensorBoard: event files, written by torch's ``SummaryWriter``."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from fedzda.platform.trackers.base import TrackedRun, Tracker
from fedzda.platform.trackers.config import TensorBoardConfig


class TensorBoard(Tracker):
    """Scalars by round, and the configuration as a text."""

    config: TensorBoardConfig

    def open(self, run: TrackedRun) -> None:
        """A writer; rounds after the checkpoint that a resumed run goes on from are taken back."""
        from torch.utils.tensorboard import SummaryWriter

        folder = run.folder / "tensorboard"
        if self.config.folder is not None:
            # Runs that share event files would be one zigzag line.
            root = Path(os.path.expandvars(self.config.folder)).expanduser()
            folder = root / run.folder.name
        # A run that was killed before its first checkpoint is resumed too, from round 0.
        resumed = (run.folder / "rounds.jsonl").exists()
        self.writer = SummaryWriter(str(folder), purge_step=run.done + 1 if resumed else None)
        if not resumed:
            rows = "\n".join(f"| {key} | {value} |" for key, value in run.config.items())
            self.writer.add_text("config", f"| key | value |\n|---|---|\n{rows}")

    def log(self, round_: int, values: Mapping[str, float]) -> None:
        """Write and flush, so that a run that is killed leaves all its rounds."""
        for name, value in values.items():
            self.writer.add_scalar(name, value, round_)
        self.writer.flush()

    def close(self, state: str, values: Mapping[str, float], rounds: int) -> None:
        """Final figures stand at the last round."""
        self.log(rounds, values)
        self.writer.close()
