"""What is kept of a finished cell: one small JSON file, from which every table is made."""

from __future__ import annotations

import json
import platform
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from fedzda.base import RunError
from fedzda.platform.files import read_json
from fedzda.platform.report.data import main_metric
from fedzda.platform.report.load import read_run
from fedzda.platform.report.units import Metric, metric_of
from fedzda.platform.runs import Run
from fedzda.platform.sweep.cells import Cell, result_path
from fedzda.platform.sweep.load import Sweep

FIGURES = ("mean", "weighted_mean", "worst10", "variance_pp2", "gini")
_CURVES = ("mean", "worst10", "variance_pp2")
_VERSIONS = ("fedzda", "torch", "flwr", "numpy")
_DIGITS = 6


@dataclass(frozen=True)
class Result:
    """One finished cell."""

    cell: Cell
    data: dict[str, Any]

    def figure(self, name: str, stage: str = "global") -> float | None:
        """An average over the last rounds; None where the cell has no such stage."""
        value = self.data["figures"].get(stage, {}).get(name)
        return None if value is None else float(value)

    @property
    def metric(self) -> Metric:
        """What the figures are of."""
        return metric_of(self.data)

    def clients(self, stage: str) -> dict[int, float]:
        """Each client's average over the last rounds; those without a value are left out."""
        stored = self.data["clients"].get(stage, {})
        return {int(k): float(v) for k, v in stored.items() if v is not None}


def read_result(sweep: Sweep, cell: Cell) -> Result | None:
    """The result of a cell; None if there is none, or it is one of other settings."""
    path = result_path(sweep, cell)
    if not path.is_file():
        return None
    data = read_json(path)
    same = data.get("hash") == cell.hash and _averages_as_asked(data, sweep.config.last)
    return Result(cell, data) if same else None


def _averages_as_asked(data: dict[str, Any], last: int) -> bool:
    """Whether figures are averages over ``last`` rounds, or over all where there are fewer."""
    return "averaged" not in data or data["averaged"] == min(last, len(data["evaluated"]))


def collect(run: Run, cell: Cell, last: int, cpu_seconds: float) -> dict[str, Any]:
    """The content of a result file, from a finished run.

    ``figures`` are averages over the last ``last`` evaluated rounds, by stage; ``clients`` the same
    for every client; ``curves`` one value per evaluated round. Accuracies are fractions.

    Raises:
        RunError: The run evaluated no client, or none had a value in any round.
    """
    summary, meta = run.summary, run.meta
    rows = _rows(run.path)
    if not rows:
        raise RunError(f"cell {cell.text} evaluated no client: set evaluate.every above 0.")
    main = summary["stage"]
    files = read_run(run.path)
    name = main_metric(files)
    stages = [main, *(stage for stage in ("global", "personalised") if stage in rows[0])]
    if all(found["mean"] is None for found in _of(rows, main, main, name)):
        raise RunError(
            f"cell {cell.text} has no value of '{name}' in any round: give clients test samples "
            "(data.test_fraction above 0)."
        )
    return {
        "cell": cell.labels,
        "point": cell.point,
        "group": cell.group,
        "seed": cell.seed,
        "hash": cell.hash,
        "metric": name,
        "higher_is_better": {k: v for k, v in files.higher_is_better.items() if k == name},
        "rounds": summary["rounds"],
        "averaged": min(last, len(rows)),
        "figures": {s: _averages(_of(rows, s, main, name)[-last:]) for s in stages},
        "clients": {s: _clients(run, s, name, [r["round"] for r in rows[-last:]]) for s in stages},
        "curves": {s: _curves(_of(rows, s, main, name)) for s in stages},
        "evaluated": [row["round"] for row in rows],
        "global_test": summary["global_test"].get(name),
        "seconds": round(summary["seconds"]["total"], 1),
        "cpu_seconds": round(cpu_seconds, 1),
        "bytes": summary["bytes"],
        "versions": {name: meta["versions"][name] for name in _VERSIONS},
        "commit": meta["commit"],
        "machine": f"{platform.machine()}, {meta['cores']} cores",
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
    }


def _rows(folder: Path) -> list[dict[str, Any]]:
    """Rounds in which clients were evaluated."""
    lines = (folder / "rounds.jsonl").read_text(encoding="utf-8").splitlines()
    return [row for row in map(json.loads, lines) if row["metrics"]]


def _of(rows: list[dict[str, Any]], stage: str, main: str, metric: str) -> list[dict[str, Any]]:
    return [row["metrics" if stage == main else stage][metric] for row in rows]


def _averages(figures: list[dict[str, Any]]) -> dict[str, float | None]:
    found: dict[str, float | None] = {}
    for name in FIGURES:
        values = [own[name] for own in figures]
        known = [value for value in values if value is not None]
        found[name] = round(float(np.mean(known)), _DIGITS) if len(known) == len(values) else None
    return found


def _curves(figures: list[dict[str, Any]]) -> dict[str, list[float | None]]:
    return {name: [_rounded(own[name]) for own in figures] for name in _CURVES}


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def _clients(run: Run, stage: str, metric: str, rounds: list[int]) -> dict[str, float]:
    table = run.clients
    tested = (table.phase == "evaluate") & (table.split == "test") & (table.stage == stage)
    kept = table[tested & (table.metric == metric) & table["round"].isin(rounds)]
    means = kept.groupby("client").value.mean().dropna()
    return {str(client): round(float(value), 4) for client, value in means.items()}
