"""The finished cells of a sweep as a table: one row per combination, averaged over seeds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fedzda.platform.report.units import Metric
from fedzda.platform.sweep.tables import BySeed, Estimate, estimate, paired

ARM = "arm"
FIGURES = {
    "mean": "Mean",
    "worst10": "Worst tenth",
    "weighted_mean": "Weighted mean",
    "variance_pp2": "Variance",
    "gini": "Gini index",
}
"""Figure to its name."""
_OWN = "personalised"


def scale_of(figure: str, shown: Metric) -> float:
    """The factor from stored to shown values of a figure."""
    if figure == "gini":
        return 1.0
    return shown.variance_scale if figure == "variance_pp2" else shown.scale


def unit_of(figure: str, shown: Metric) -> str:
    """The unit of shown values of a figure; empty where there is none."""
    if figure == "gini":
        return ""
    return shown.variance_unit if figure == "variance_pp2" else shown.unit


@dataclass
class Combination:
    """All seeds of one combination of labels.

    Attributes:
        labels: Axis to value.
        figures: Figure to its value for each seed.
        cost: ``seconds``, ``cpu_seconds`` and ``bytes`` (both ways) for each seed.
    """

    labels: dict[str, str]
    figures: dict[str, BySeed] = field(default_factory=dict)
    cost: dict[str, BySeed] = field(default_factory=dict)

    def figure(self, name: str) -> Estimate | None:
        """Mean and interval over seeds; None without values."""
        return estimate(self.figures.get(name, {}).values())

    def gap(self, base: Combination, name: str) -> Estimate | None:
        """Difference to another combination, paired by seed; None without a common seed."""
        return paired(base.figures.get(name, {}), self.figures.get(name, {}))


def combinations(results: Mapping[str, dict[str, Any]]) -> list[Combination]:
    """The cells of a sweep's result files, in the order of the files.

    Figures of the clients' own models are a combination of their own: their arm is marked, and
    that of the global model beside them too where the sweep has no arms.
    """
    found: dict[tuple[tuple[str, str], ...], Combination] = {}
    for content in results.values():
        for stage, figures in content["figures"].items():
            labels = {str(k): str(v) for k, v in content["cell"].items()}
            if stage == _OWN:
                labels[ARM] = ", ".join([*filter(None, [labels.get(ARM)]), _OWN])
            elif _OWN in content["figures"]:
                labels.setdefault(ARM, stage)
            key = tuple(labels.items())
            own = found.setdefault(key, Combination(labels))
            seed = content["seed"]
            for name in FIGURES:
                if isinstance(figures.get(name), int | float):
                    own.figures.setdefault(name, {})[seed] = float(figures[name])
            for name, value in _cost(content).items():
                own.cost.setdefault(name, {})[seed] = value
    return list(found.values())


def _cost(content: dict[str, Any]) -> dict[str, float]:
    found = {k: content.get(k) for k in ("seconds", "cpu_seconds")}
    moved = content.get("bytes")
    if isinstance(moved, dict):
        found["bytes"] = sum(v for v in moved.values() if isinstance(v, int | float))
    return {key: float(v) for key, v in found.items() if isinstance(v, int | float)}


def axes(rows: list[Combination]) -> dict[str, list[str]]:
    """Axis to its values, only axes with more than one; the seeds as the axis ``seed``."""
    found: dict[str, dict[str, None]] = {}
    for row in rows:
        for axis, value in row.labels.items():
            found.setdefault(axis, {})[value] = None
    seeds = sorted({seed for row in rows for values in row.figures.values() for seed in values})
    several = {axis: list(values) for axis, values in found.items() if len(values) > 1}
    return several | {"seed": [str(seed) for seed in seeds]}
