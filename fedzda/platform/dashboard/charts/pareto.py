"""Mean against variance, one point per group of runs."""

from __future__ import annotations

from typing import Any

from fedzda.platform.compare import Comparison
from fedzda.platform.dashboard.charts import series
from fedzda.platform.dashboard.charts.series import MOST, Series
from fedzda.platform.report.charts.base import Drawing
from fedzda.platform.report.svg import Plot
from fedzda.platform.report.units import Metric

_X, _Y = "variance_pp2", "mean"


def draw(found: Comparison) -> Drawing | None:
    """Points with their 95 % intervals in both directions."""
    shown = found.shown
    kept = [row for row in found.rows[:MOST] if row[_X] is not None]
    if not kept:
        return None
    drawn = [
        Series(row["run"], [row[_X] * shown.variance_scale], [row[_Y] * shown.scale],
               [f"{row['run']}: mean {shown.show(row[_Y])}, variance {_variance(shown, row)}"])
        for row in kept
    ]  # fmt: skip
    said = "; ".join(f"{r['run']} {shown.show(r[_Y])} and {_variance(shown, r)}" for r in kept)
    alt = f"Mean against variance: {said}."
    side = "up" if shown.higher_is_better else "down"
    return Drawing(
        key="pareto",
        title="Mean against variance",
        alt=alt,
        caption=f"One point per group with its 95 % intervals: {side} and to the left is better.",
        svg=series.picture(_plot(kept, drawn, shown), drawn, alt, dots=True),
        columns=["Group", "Mean", shown.variance_of("Variance"), "Worst tenth", "Intervals over"],
        rows=[
            [row["run"], shown.show(row[_Y]), shown.variance(row[_X]), shown.show(row["worst10"]),
             row["interval"]]
            for row in kept
        ],
    )  # fmt: skip


def _variance(shown: Metric, row: dict[str, Any]) -> str:
    return shown.variance(row[_X], unit=True)


def _plot(kept: list[dict[str, Any]], drawn: list[Series], shown: Metric) -> Plot:
    xs = [_interval(row, _X, shown.variance_scale) for row in kept]
    ys = [_interval(row, _Y, shown.scale) for row in kept]
    plot = Plot(
        series.axis([0.0, *(v for x in xs for v in x)], shown.variance_of("variance over clients")),
        series.axis([v for y in ys for v in y], f"mean client {shown.label}"),
    )
    for number, (each, x, y) in enumerate(zip(drawn, xs, ys, strict=True)):
        role, _ = series.look(number)
        plot.line(x, [each.y[0]] * len(x), f"{role} thin")
        plot.line([each.x[0]] * len(y), y, f"{role} thin")
    for number, each in enumerate(drawn):
        role, shape = series.look(number)
        plot.mark(each.x[0], each.y[0], role, each.tips[0], shape)
    return plot


def _interval(row: dict[str, Any], key: str, scale: float) -> list[float]:
    """Low end, figure, high end; the figure alone where there is no interval."""
    ends = (row[f"{key}_low"], row[key], row[f"{key}_high"])
    return [value * scale for value in ends if value is not None]
