"""What is compared: run folders, and the result files of sweeps, brought to one form."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fedzda.base import UserError
from fedzda.platform.fairness import INTERVALS
from fedzda.platform.report.data import main_metric
from fedzda.platform.report.load import ClientValues, client_values, read_run
from fedzda.platform.report.units import metric_of

_IGNORED = ("seed", "data.seed", "output", "trackers")
"""Keys that make no difference between runs: all but these are the same in a group."""
_RESULT_KEYS = frozenset({"cell", "seed", "hash", "metric", "figures", "clients"})


@dataclass(frozen=True)
class Measured:
    """One run as it is compared.

    Attributes:
        path: Its run folder or result file.
        name: What it is called.
        seed: Its seed.
        config: Dotted key to value, without what makes no difference between runs of a group.
        data: Equal for runs whose clients can be paired one by one.
        metric: The metric its figures are of.
        higher_is_better: Its direction where the run says so, by metric.
        figures: ``n``, ``mean``, ``worst10``, ``variance_pp2`` and, if known, ``last10_mean`` and
            intervals over clients (``…_ci95``).
        clients: Reads the metric of every client.
    """

    path: Path
    name: str
    seed: int
    config: dict[str, str]
    data: Any
    metric: str
    higher_is_better: dict[str, bool]
    figures: dict[str, Any]
    clients: Callable[[], ClientValues | None]


def measured(paths: Sequence[Path]) -> list[Measured]:
    """All runs that some paths name: run folders, result files, folders of result files.

    What several paths name (``runs/*_a_* runs/*``) is taken once.

    Raises:
        UserError: A path is none of these, or its run is not finished (its state is named) or
            measured nothing. All such problems at once.
    """
    given: list[tuple[Path, dict[str, Any] | None]] = []
    for path in paths:
        given += list(_result_files(path)) or [(path, None)]
    given = list({path.resolve(): (path, data) for path, data in given}.values())
    named = _telling_axes([data["cell"] for _, data in given if data is not None])
    found: list[Measured] = []
    problems: list[str] = []
    for path, data in given:
        try:
            found.append(_from_run(path) if data is None else _from_result(path, data, named))
        except UserError as error:
            problems += error.problems
    if problems:
        raise UserError(*problems)
    return found


def flatten(config: dict[str, Any], before: str = "") -> dict[str, str]:
    """Nested blocks as dotted keys; values as JSON, text without quotes."""
    found: dict[str, str] = {}
    for key, value in config.items():
        if isinstance(value, dict) and value:
            found |= flatten(value, f"{before}{key}.")
        else:
            written = json.dumps(value, default=str, ensure_ascii=False)
            found[f"{before}{key}"] = value if isinstance(value, str) else written
    return found


def _from_run(path: Path) -> Measured:
    run = read_run(path)
    if run.state != "finished":
        raise UserError(
            f"run '{path}' is not finished (state: {run.state}): "
            f"continue it with 'fedzda resume {path}'."
        )
    metric = main_metric(run)
    figures = run.summary.get("metrics", {}).get(metric) or {}
    if not figures.get("n"):
        raise UserError(
            f"run '{path}' evaluated no client: set evaluate.every above 0, and data.test_fraction "
            "too."
        )
    config = {
        key: value
        for key, value in flatten(run.config).items()
        if not any(key == own or key.startswith(f"{own}.") for own in _IGNORED)
    }
    return Measured(
        path=path,
        name=config.get("name") or path.name,
        seed=int(run.config.get("seed", run.summary.get("seed", 0))),
        config=config,
        data=run.config.get("data"),
        metric=metric,
        higher_is_better=run.higher_is_better,
        figures=figures,
        clients=lambda: client_values(path, metric),
    )


# ---------------------------------------------------------------------------------------------
# Results of sweeps


def _result_files(path: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Result files that a path holds; none for a run folder."""
    if path.is_dir() and (path / "config.yaml").is_file():
        return
    for file in [path] if path.is_file() else sorted(path.rglob("*.json")):
        try:
            data = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if isinstance(data, dict) and data.keys() >= _RESULT_KEYS:
            yield file, data


def _telling_axes(cells: Sequence[dict[str, Any]]) -> list[str]:
    """Axes whose values tell results apart; the arm if none does."""
    axes = dict.fromkeys(axis for cell in cells for axis in cell)
    telling = [axis for axis in axes if len({cell.get(axis) for cell in cells}) > 1]
    return telling or ["arm"]


def _from_result(path: Path, data: dict[str, Any], named: Sequence[str]) -> Measured:
    """A result file: its figures are averages over the last rounds of the cell.

    Args:
        path: The file.
        data: Its content.
        named: Axes whose values make its name.
    """
    stage = next(iter(data["figures"]))
    figures = dict(data["figures"][stage])
    stored = data["clients"].get(stage, {})
    clients = {int(k): float(v) for k, v in stored.items() if v is not None}
    if any(figures.get(key) is None for key in INTERVALS):
        raise UserError(
            f"result '{path}' has no mean over the clients: none of them had a value in one of "
            "its last rounds. Leave it out."
        )
    labels = {axis: str(value) for axis, value in data["cell"].items()}
    values = ClientValues(
        round=int(data.get("rounds", 0)),
        client=np.array(sorted(clients), dtype=np.int64),
        value=np.array([clients[c] for c in sorted(clients)], dtype=np.float64),
        num_examples=np.zeros(len(clients), dtype=np.int64),
        device=np.full(len(clients), "", dtype=np.str_),
    )
    return Measured(
        path=path,
        name=", ".join(labels[axis] for axis in named if axis in labels) or path.stem,
        seed=int(data["seed"]),
        config=labels | flatten(data.get("point", {})),
        data={axis: value for axis, value in labels.items() if axis != "arm"},
        metric=str(data["metric"]),
        higher_is_better={str(data["metric"]): metric_of(data).higher_is_better},
        figures={**figures, "n": len(clients), "last10_mean": figures.get("mean")},
        clients=lambda: values,
    )
