"""Trackers as callbacks of a run: opened with it, fed round by round, never in its way."""

from __future__ import annotations

import importlib.util
import logging
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fedzda.base import StrictConfig, UserError
from fedzda.platform import plugins
from fedzda.platform.checkpoint import newest_round
from fedzda.platform.compare.sources import flatten
from fedzda.platform.config import plain
from fedzda.platform.trackers.base import TrackedRun, Tracker, final_values, round_values

if TYPE_CHECKING:
    from fedzda.platform.simulation import Simulation

_PACKAGES = {"tensorboard": "tensorboard", "wandb": "wandb", "mlflow": "mlflow-skinny"}
"""Tracker to the package that holds the module of its name."""
_log = logging.getLogger(__name__)


def check_installed(configs: Sequence[StrictConfig]) -> None:
    """Raise UserError unless the packages of all trackers are there."""
    problems = []
    for config in configs:
        name: str = config.name  # type: ignore[attr-defined]
        if importlib.util.find_spec(name) is None:
            problems.append(
                f"tracker '{name}' needs a package that is not installed. Get it with "
                f"'pip install {_PACKAGES[name]}' (all trackers: pip install 'fedzda[track]'), or "
                f"take '{name}' out of trackers."
            )
    if problems:
        raise UserError(*problems)


def tracking(configs: Sequence[StrictConfig]) -> list[Tracking]:
    """A callback for each tracker of a configuration."""
    return [
        Tracking(config.name, plugins.load("trackers", config.name)(config))  # type: ignore[attr-defined]
        for config in configs
    ]


class Tracking:
    """A callback of :class:`Simulation` around one tracker.

    A tracker that cannot be opened stops the run before its first round. One that fails later warns
    once and is left alone from then on.
    """

    def __init__(self, name: str, tracker: Tracker) -> None:
        self.name = name
        self.tracker = tracker
        self.broken = False
        self.done = 0

    def start(self, simulation: Simulation, run_folder: Path) -> None:
        """Open the tracker. Raises UserError if that fails."""
        self.done = newest_round(run_folder / "checkpoints")
        run = TrackedRun(run_folder, flatten(plain(simulation.config)), self.done)
        try:
            self.tracker.open(run)
        except Exception as error:
            raise UserError(
                f"tracker '{self.name}' cannot be opened: {_first_line(error)} Mend it, or take "
                f"'{self.name}' out of trackers."
            ) from error

    def round(self, row: dict[str, Any], total_rounds: int) -> None:
        """Hand over the numbers of a round."""
        self.done = row["round"]
        self._try(self.tracker.log, row["round"], round_values(row))

    def finish(self, summary: dict[str, Any]) -> None:
        """Hand over the final figures, and close."""
        self._close("finished", final_values(summary))

    def abort(self, state: str) -> None:
        """Close: the run ended early."""
        self._close(state, {})

    def _close(self, state: str, values: Mapping[str, float]) -> None:
        self._try(self.tracker.close, state, values, self.done)

    def _try(self, step: Callable[..., None], *arguments: Any) -> None:
        if self.broken:
            return
        try:
            step(*arguments)
        except Exception as error:
            self.broken = True
            _log.exception("tracker '%s' failed", self.name)
            warnings.warn(
                f"tracker '{self.name}' failed after round {self.done} and gets nothing more; the "
                f"run goes on, its own records are complete. {_first_line(error)}",
                RuntimeWarning,
                stacklevel=2,
            )


def _first_line(error: Exception) -> str:
    text = next(iter(str(error).splitlines()), "").rstrip(".")
    return f"{type(error).__name__}: {text}."
