"""Mean against variance: a point per group of runs, with its 95 % intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from fedzda.platform.compare import Comparison, Group
from fedzda.platform.plot.style import INCHES, legend_above, look
from fedzda.platform.report.units import Metric

HEIGHT = {"single": 2.8, "double": 3.2}
_X, _Y = "variance_pp2", "mean"


def paint(figure: Figure, groups: Sequence[Group], found: Comparison) -> str:
    """Draw the points; returns a caption. Small marks are the single seeds."""
    shown = found.shown
    axes = figure.add_subplot()
    for number, (group, row) in enumerate(zip(groups, found.rows, strict=True)):
        _point(axes, row, shown, number)
        if len(group.runs) > 1:
            style = look(number)
            axes.plot(
                [float(run.figures[_X]) * shown.variance_scale for run in group.runs],
                [float(run.figures[_Y]) * shown.scale for run in group.runs],
                linestyle="", marker=style["marker"], markersize=2.6, color=style["color"],
                alpha=0.4, markeredgewidth=0, zorder=1.5,
            )  # fmt: skip
    axes.set(xlabel=shown.variance_of("variance over clients"), ylabel=f"mean client {shown.label}")
    wide = figure.get_figwidth() > INCHES["single"] + 1
    labels = [row["run"] for row in found.rows]
    marks = [_mark(number) for number in range(len(labels))]
    if wide:
        figure.legend(marks, labels, loc="outside right upper")
    elif len(labels) > 1:
        legend_above(figure, marks, labels)
    side = "up" if shown.higher_is_better else "down"
    said = ", ".join(dict.fromkeys(row["interval"] for row in found.rows))
    return (
        f"Mean {shown.words} of the clients against its variance over clients, with 95 % intervals "
        f"over {said}; {side} and to the left is better."
    )


def _mark(number: int) -> Line2D:
    """A point of the legend, without bars."""
    return Line2D([], [], **{**look(number), "linestyle": "", "markersize": 5})


def _point(axes: Axes, row: dict[str, Any], shown: Metric, number: int) -> None:
    x, y = row[_X] * shown.variance_scale, row[_Y] * shown.scale
    up, across = _bars(row, _Y, shown.scale), _bars(row, _X, shown.variance_scale)
    style = look(number)
    axes.errorbar(
        x, y, up, across, color=style["color"], marker=style["marker"], linestyle="",
        markersize=5, capsize=2, elinewidth=0.9, capthick=0.9,
    )  # fmt: skip


def _bars(row: dict[str, Any], key: str, scale: float) -> list[list[float]] | None:
    """Lengths of the error bars below and above, as matplotlib takes them."""
    value, low, high = row[key], row[f"{key}_low"], row[f"{key}_high"]
    if low is None:
        return None
    return [[max(0.0, value - low) * scale], [max(0.0, high - value) * scale]]
