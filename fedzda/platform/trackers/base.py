"""What every tracker does, and the numbers that it gets."""

from __future__ import annotations

import math
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FIGURES = ("mean", "weighted_mean", "worst10", "best10", "variance_pp2", "gini")
"""Figures of a metric that are tracked; all others stand in ``rounds.jsonl``."""
_PARTS = ("seconds", "bytes", "clients", "server")
_TOTALS = ("virtual_sec", "virtual_total_sec")
_RUN_KEYS = frozenset({"metrics", "round", "eta_sec", *_PARTS, *_TOTALS})
"""Keys of a row of ``rounds.jsonl`` that are no further stage of evaluation."""


@dataclass(frozen=True)
class TrackedRun:
    """The run that a tracker is opened for.

    Attributes:
        folder: The run folder; its name identifies the run, also after a resume.
        config: Dotted configuration keys with their values as text.
        done: The last round whose checkpoint the run goes on from; 0 for a new run.
    """

    folder: Path
    config: dict[str, str]
    done: int


class Tracker(ABC):
    """A sink. Built as ``Tracker(config)``; any method may raise, its caller sees to that."""

    def __init__(self, config: Any) -> None:
        self.config = config

    @abstractmethod
    def open(self, run: TrackedRun) -> None:
        """Begin, or go on with what was begun for the same run folder."""

    @abstractmethod
    def log(self, round_: int, values: Mapping[str, float]) -> None:
        """Take the numbers of a round."""

    @abstractmethod
    def close(self, state: str, values: Mapping[str, float], rounds: int) -> None:
        """The run ended.

        Args:
            state: ``finished``, ``failed`` or ``interrupted``.
            values: Final figures of a finished run, else nothing.
            rounds: Rounds done.
        """


def round_values(row: Mapping[str, Any]) -> dict[str, float]:
    """The numbers of a row of ``rounds.jsonl``: ``accuracy/worst10``, ``seconds/train``, …

    Figures of further stages stand under the stage, ``personalised/accuracy/mean``. What is not
    defined is left out.
    """
    values = dict(_figures(row["metrics"], ""))
    for stage in row.keys() - _RUN_KEYS:
        values.update(_figures(row[stage], f"{stage}/"))
    for part in _PARTS:
        values.update({f"{part}/{key}": value for key, value in row.get(part, {}).items()})
    values.update({key: row[key] for key in _TOTALS if key in row})
    return _finite(values)


def final_values(summary: Mapping[str, Any]) -> dict[str, float]:
    """The numbers of ``summary.json``: ``final/accuracy/worst10``, ``global_test/accuracy``, …"""
    values = dict(_figures(summary["metrics"], "final/"))
    values.update(_figures(summary.get("personalised") or {}, "final/personalised/"))
    values.update({f"global_test/{key}": value for key, value in summary["global_test"].items()})
    values["seconds/total"] = summary["seconds"]["total"]
    return _finite(values)


def _figures(metrics: Mapping[str, Any], before: str) -> Iterator[tuple[str, Any]]:
    for metric, figures in metrics.items():
        for figure in FIGURES:
            yield f"{before}{metric}/{figure}", figures.get(figure)


def _finite(values: Mapping[str, Any]) -> dict[str, float]:
    """Numbers only, under names that every tracker takes."""
    return {
        re.sub(r"[^\w\-./ ]", "_", name): float(value)
        for name, value in values.items()
        if isinstance(value, int | float) and math.isfinite(value)
    }
