"""The tables of a comparison as text, cell by cell: terminal, page, Markdown and LaTeX share them.

``87.3 ± 1.2 %`` has a 95 % interval over seeds; ``87.3 %`` and ``[85.0, 89.1]`` beneath it have one
over clients, which is not symmetric.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from fedzda.platform.fairness import INTERVALS
from fedzda.platform.report.units import NBSP, Metric

if TYPE_CHECKING:
    from fedzda.platform.compare import Comparison

Tables = list[tuple[str, list[str], list[list[str]]]]


def headings(shown: Metric) -> list[str]:
    """Headings of the columns that hold figures."""
    return ["mean", "worst 10 %", shown.variance_of("variance")]


def tables(found: Comparison) -> Tables:
    """Title, headings and lines of each table that has lines: configuration, figures, differences.

    A cell may hold a line break between a figure and its interval.
    """
    shown = found.shown
    config = [[key, *values] for key, values in found.differences.items()]
    result = [
        [row["run"], *(_cell(shown, row, key) for key in INTERVALS),
         shown.show(row["last10_mean"]), row["interval"]]
        for row in found.rows
    ]  # fmt: skip
    gaps = [
        [row["run"], *(_gap(shown, row, key) for key in INTERVALS), row["pairs"]]
        for row in found.rows
        if row["pairs"]
    ]
    in_points = " in points" if shown.fraction else ""
    head = headings(shown)
    made = [
        ("Configuration", ["key", *found.labels], config),
        (f"{shown.title} of the clients, 95 % intervals",
         ["run", *head, "last 10 rounds", "interval over"], result),
        (f"Difference to {found.labels[0]}{in_points}, 95 % intervals",
         ["run", *head, "paired over"], gaps),
    ]  # fmt: skip
    return [table for table in made if table[2]]


def _cell(shown: Metric, row: dict[str, Any], key: str) -> str:
    if key == "variance_pp2":
        return _with_interval(row, key, shown.variance, "")
    unit = f"{NBSP}{shown.unit}" if shown.unit else ""
    return _with_interval(row, key, lambda value: shown.show(value).removesuffix(unit), unit)


def _gap(shown: Metric, row: dict[str, Any], key: str) -> str:
    scale = shown.variance_scale if key == "variance_pp2" else shown.scale
    digits = 1 if shown.fraction else 4

    def write(value: float) -> str:
        return f"{round(scale * value, digits) + 0.0:+.{digits}f}".replace("-", "−")

    return _with_interval(row, f"{key}_difference", write, "")


def _with_interval(row: dict[str, Any], key: str, write: Callable[[float], str], unit: str) -> str:
    value, low, high = (row[name] for name in (key, f"{key}_low", f"{key}_high"))
    if low is None:
        return write(value) + unit
    half = high - value
    over_seeds = str(row["pairs" if key.endswith("_difference") else "interval"]).endswith("seeds")
    if over_seeds and abs(value - low - half) <= 1e-9 * max(1.0, abs(half)):
        return f"{write(value)}{NBSP}±{NBSP}{write(half).removeprefix('+')}{unit}"
    return f"{write(value)}{unit}\n[{write(low)}, {write(high)}]"
