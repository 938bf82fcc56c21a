"""Ending a run before its last round: patience, a target, a time budget."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fedzda.base import UserError
from fedzda.platform.config import StopConfig
from fedzda.platform.fairness import direction


@dataclass
class StopState:
    """What the rules remember; part of the checkpoint.

    Attributes:
        best: The best figure so far, by more than ``min_delta`` each time; None before the first.
        waited: Evaluated rounds in a row without an improvement.
        seconds: Time of all rounds so far.
        rule: ``patience``, ``target`` or ``seconds``, once it has ended the run.
        reason: The same as a sentence.
    """

    best: float | None = None
    waited: int = 0
    seconds: float = 0.0
    rule: str | None = None
    reason: str | None = None


class Stopping:
    """Decides after every round whether the run ends.

    Args:
        config: The ``stop:`` block.
        primary: The metric looked at where the block names none.
        higher_is_better: By metric; of one that is not in it the name tells.
    """

    def __init__(
        self, config: StopConfig, primary: str, higher_is_better: Mapping[str, bool]
    ) -> None:
        self.config = config
        self.metric = config.metric or primary
        known = higher_is_better.get(self.metric, direction.higher_is_better(self.metric))
        self.sign = 1.0 if known else -1.0
        self.state = StopState()

    def check(self, known: Sequence[str]) -> None:
        """Refuse a metric that clients are not evaluated by.

        Args:
            known: The metrics of an evaluated client.

        Raises:
            UserError: ``stop.metric`` is none of them.
        """
        if self.metric not in known:
            raise UserError(
                f"stop.metric is '{self.metric}', but clients are evaluated by "
                f"{', '.join(sorted(known))}. Name one of these."
            )

    @property
    def stopped(self) -> bool:
        """Whether a rule has ended the run."""
        return self.state.rule is not None

    def out_of_time(self, round_sec: float) -> bool:
        """Whether the time budget is used up, ``round_sec`` seconds into the current round."""
        budget = self.config.seconds
        return budget is not None and self.state.seconds + round_sec >= budget

    def after(self, row: Mapping[str, Any], *, may_end: bool) -> None:
        """Take a round's row of rounds.jsonl into account.

        Args:
            row: Its ``metrics`` are empty where the round was not evaluated.
            may_end: Whether the round may be the last one: the last one is always evaluated.

        Raises:
            UserError: ``stop.metric`` is not among the metrics of an evaluated round.
        """
        if row["metrics"]:
            self._look(row["metrics"])
        spent = float(row["seconds"]["total"])
        if may_end and not self.stopped and self.out_of_time(spent):
            self._stop("seconds", f"the rounds took longer than {self.config.seconds:g} s")
        self.state.seconds += spent

    def _look(self, metrics: Mapping[str, Any]) -> None:
        config, state = self.config, self.state
        if config.patience is None and config.target is None:
            return
        value = self._figure(metrics)
        if value is None:  # no client had a test sample: nothing is known
            return
        named = f"{self.metric} ({config.figure})"
        if config.target is not None and self.sign * (value - config.target) >= 0:
            self._stop("target", f"{named} reached {value:.4g}, the target is {config.target:g}")
        if state.best is None or self.sign * (value - state.best) > config.min_delta:
            state.best, state.waited = value, 0
            return
        state.waited += 1
        if config.patience is not None and state.waited >= config.patience and not self.stopped:
            self._stop(
                "patience",
                f"{named} did not improve on {state.best:.4g} by more than {config.min_delta:g} "
                f"in {state.waited} evaluated rounds",
            )

    def _figure(self, metrics: Mapping[str, Any]) -> float | None:
        self.check(list(metrics))
        value: float | None = metrics[self.metric][self.config.figure]
        return value

    def _stop(self, rule: str, reason: str) -> None:
        self.state.rule, self.state.reason = rule, reason
