"""Accuracy after every phase of class-incremental learning: all, old and new classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from fedzda.platform.report.charts.base import BEST, MEAN, WORST, Chart
from fedzda.platform.report.data import RunData
from fedzda.platform.report.svg import Axis, Plot, ticks
from fedzda.platform.report.units import DASH, NBSP

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_LINES = (
    ("new", "new classes", "best", "diamond", BEST, ":"),
    ("accuracy", "all seen", "mean", "circle", MEAN, "-"),
    ("old", "old classes", "worst", "square", WORST, "--"),
)


def draw(data: RunData) -> Chart | None:
    """A line each, or None for a run without phases."""
    found = data.phases
    if not found or len(found["accuracy"]) < 2:
        return None
    seen = found["classes_seen"]
    series = [
        (line, [(n, 100 * v) for n, v in zip(seen, found[line[0]], strict=True) if v is not None])
        for line in _LINES
    ]

    def paint(axes: Axes) -> None:
        for (_, words, _, _, color, dash), points in series:
            marker = "." if len(points) == 1 else None
            xs, ys = zip(*points, strict=True)
            axes.plot(xs, ys, color=color, linestyle=dash, label=words, marker=marker)
        axes.set(xlabel="classes seen", ylabel="accuracy (%)")
        axes.legend(frameon=False)

    first, last = found["accuracy"][0], found["accuracy"][-1]
    alt = (
        f"Lines over {seen[0]} to {seen[-1]} classes seen: accuracy on all of them goes from "
        f"{100 * first:.1f} % to {100 * last:.1f} %, old classes end at "
        f"{100 * found['old'][-1]:.1f} %."
    )
    return Chart(
        key="phases",
        title=f"Accuracy after each of {len(seen)} phases",
        alt=alt,
        caption="Accuracy on the global test set by the age of the classes. The distance between "
        "the lines is what learning new classes costs the old ones.",
        svg=_plot(series).svg(alt),
        columns=["Classes seen", "All seen", "Old classes", "New classes"],
        rows=[
            [str(n), *(_percent(found[key][i]) for key in ("accuracy", "old", "new"))]
            for i, n in enumerate(seen)
        ],
        paint=paint,
    )


def _plot(series: Sequence[tuple[tuple[str, ...], list[tuple[int, float]]]]) -> Plot:
    xs = sorted({float(x) for _, points in series for x, _ in points})
    ys = [y for _, points in series for _, y in points]
    plot = Plot(
        Axis(xs, "classes seen", "{:,.0f}".format),
        Axis(ticks(min(ys), max(ys)), "accuracy (%)"),
        right=140,
    )
    lowest = -100.0
    ends = sorted(series, key=lambda each: plot.py(each[1][-1][1]))
    for (_, words, role, shape, *_), points in ends:
        plot.line([x for x, _ in points], [y for _, y in points], role)
        for x, y in points:
            plot.mark(x, y, role, f"{x} classes, {words}: {y:.1f} %", shape)
        lowest = max(plot.py(points[-1][1]), lowest + 22)
        end = plot.px(points[-1][0]) + 11
        plot.write(end, lowest, words, f"label {role}", anchor="start", shift="0.35em")
    return plot


def _percent(value: float | None) -> str:
    return DASH if value is None else f"{100 * value:.1f}{NBSP}%"
