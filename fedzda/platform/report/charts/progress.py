"""Mean, worst tenth and best tenth over the rounds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from fedzda.platform.report.charts.base import BEST, MAX_POINTS, MEAN, WORST, Chart
from fedzda.platform.report.data import RunData
from fedzda.platform.report.svg import Axis, Plot, ticks
from fedzda.platform.report.units import count

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LINES = (
    ("best10", "best tenth", "best", "diamond", BEST, ":"),
    ("mean", "mean", "mean", "circle", MEAN, "-"),
    ("worst10", "worst tenth", "worst", "square", WORST, "--"),
)
"""Key in the figures, words, role on screen, marker, colour on paper, dash on paper."""
MARKED = 40
"""Up to this many rounds each has a mark; above, evenly spaced ones have."""


def draw(data: RunData) -> Chart | None:
    """One line per figure over the evaluated rounds."""
    history = data.history
    if not history:
        return None
    if len(history) > MAX_POINTS:
        kept = np.linspace(0, len(history) - 1, MAX_POINTS).round().astype(int)
        history = [history[i] for i in kept]
    metric = data.metric
    series = [
        (line, [(r, f[line[0]] * metric.scale) for r, f in history if f.get(line[0]) is not None])
        for line in LINES
    ]
    series = [(line, points) for line, points in series if points]

    def paint(axes: Axes) -> None:
        for (_, words, _, _, color, dash), points in series:
            axes.plot(*zip(*points, strict=True), color=color, linestyle=dash, label=words,
                      marker="." if len(points) == 1 else None)  # fmt: skip
        axes.set(xlabel="round", ylabel=f"client {metric.label}")
        axes.legend(frameon=False)

    thinned = len(history) < len(data.history)
    note = f" {count(len(history))} of {count(len(data.history))} rounds are drawn."
    alt = _alt(data, history)
    return Chart(
        key="progress",
        title=f"Mean and worst tenth over {len(data.history):,} evaluated "
        + ("round" if len(data.history) == 1 else "rounds"),
        alt=alt,
        caption=(
            "The distance between the lines is what separates the best and the worst served "
            f"tenth of the clients.{note if thinned else ''}"
        ),
        svg=_svg(data, series).svg(alt),
        columns=["Round", "Mean", "Worst tenth", "Best tenth", metric.variance_of("Variance")],
        rows=[_row(data, r, figures) for r, figures in history],
        paint=paint,
    )


def _row(data: RunData, round_: int, figures: dict[str, Any]) -> list[str]:
    shown = [data.metric.show(figures.get(key)) for key in ("mean", "worst10", "best10")]
    return [str(round_), *shown, data.metric.variance(figures.get("variance_pp2"))]


def _alt(data: RunData, history: list[tuple[int, dict[str, Any]]]) -> str:
    (first, before), (last, after) = history[0], history[-1]
    show = data.metric.show
    if first == last:
        return f"One evaluated round, {last}: mean {show(after['mean'])}."
    return (
        f"Lines over rounds {first} to {last}: the mean goes from {show(before['mean'])} to "
        f"{show(after['mean'])}, the worst tenth from {show(before.get('worst10'))} to "
        f"{show(after.get('worst10'))}."
    )


def _svg(data: RunData, series: list[Any]) -> Plot:
    rounds = [r for _, points in series for r, _ in points]
    values = [v for _, points in series for _, v in points]
    across = ticks(min(rounds), max(rounds)) if len(set(rounds)) > 1 else [rounds[0]]
    whole = sorted({round(tick) for tick in across} | {min(rounds)})
    whole = [tick for tick in whole if tick >= min(rounds)]
    y = Axis(ticks(min(values), max(values)), f"client {data.metric.label}")
    plot = Plot(Axis([float(w) for w in whole], "round", "{:,.0f}".format), y, right=140)
    for (_, words, role, shape, _, _), points in series:
        plot.line([r for r, _ in points], [v for _, v in points], role)
        stride = -(-len(points) // MARKED)
        for r, v in points[::-stride]:
            shown = data.metric.show(v / data.metric.scale)
            plot.mark(r, v, role, f"round {r}, {words}: {shown}", shape)
    _name_lines(plot, series)
    return plot


def _name_lines(plot: Plot, series: list[Any]) -> None:
    """Names at the right ends, kept at least 20 units apart."""
    ends = sorted((plot.py(points[-1][1]), line, points[-1][0]) for line, points in series)
    y = -np.inf
    placed = []
    for wanted, line, last in ends:
        y = max(wanted, y + 22)
        placed.append((y, line, last))
    for y, (_, words, role, _, _, _), last in placed:
        plot.write(plot.px(last) + 11, y, words, f"label {role}", anchor="start", shift="0.35em")
