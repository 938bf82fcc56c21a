"""The cumulative distribution of the clients' values: no bins to choose, every client visible."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fedzda.platform.fairness import TAIL
from fedzda.platform.report.charts.base import CLIENT, MEAN, WORST, Chart
from fedzda.platform.report.data import RunData
from fedzda.platform.report.svg import LEFT, TOP, Axis, Plot, ticks
from fedzda.platform.report.units import NBSP

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ONE_BY_ONE = 200
"""Up to this many clients each has its own mark; above, percentiles are drawn."""


def draw(data: RunData) -> Chart | None:
    """Share of clients at or below each value."""
    if data.final is None or not data.ranking.size:
        return None
    n = data.ranking.size
    order = data.ranking if data.metric.higher_is_better else data.ranking[::-1]
    if n <= ONE_BY_ONE:
        value, client = data.final.value[order], data.final.client[order]
        share = np.arange(1, n + 1) / n
        tips = [
            f"client {c}: {data.metric.show(v)} (rank {i} of {n})"
            for i, (c, v) in enumerate(zip(client, value, strict=True), 1)
        ]
        rows = [
            [str(i), str(c), data.metric.show(v), f"{100 * s:.0f}{NBSP}%"]
            for i, (c, v, s) in enumerate(zip(client, value, share, strict=True), 1)
        ]
        columns = ["Rank", "Client", data.metric.title, "Share of clients at or below"]
    else:
        share = np.linspace(0.01, 1, 100)
        value = data.final.value[order][np.ceil(share * n).astype(np.int64) - 1]
        tips = [
            f"{s:.0%} of clients reach at most {data.metric.show(v)}"
            for v, s in zip(value, share, strict=True)
        ]
        rows = [
            [f"{100 * s:.0f}{NBSP}%", data.metric.show(v)]
            for v, s in zip(value, share, strict=True)
        ]
        columns = ["Share of clients", f"{data.metric.title} at most"]
    return _chart(data, value, share, tips, columns, rows)


def _chart(
    data: RunData,
    value: np.ndarray,
    share: np.ndarray,
    tips: list[str],
    columns: list[str],
    rows: list[list[str]],
) -> Chart:
    n, metric, figures = data.ranking.size, data.metric, data.figures
    x = value * metric.scale
    mean, worst = (figures[key] * metric.scale for key in ("mean", "worst10"))
    side = "right" if metric.higher_is_better else "left"
    each = "Each dot is one client." if n <= ONE_BY_ONE else "The dots are percentiles."
    axis = Axis(ticks(x.min(), x.max()), f"client {metric.label}")
    alt = (
        f"Cumulative distribution of {metric.words} over {n:,} clients, from "
        f"{metric.show(float(value.min()))} to {metric.show(float(value.max()))}; mean "
        f"{metric.show(figures['mean'])}, worst tenth {metric.show(figures['worst10'])}."
    )

    def paint(axes: Axes) -> None:
        axes.step(x, share * 100, where="post", color=CLIENT, linewidth=1.4)
        axes.axvline(mean, color=MEAN, linewidth=1.4, label="mean")
        axes.axvline(worst, color=WORST, linewidth=1.4, linestyle="--", label="worst tenth")
        axes.set(xlabel=axis.title, ylabel="share of clients (%)", ylim=(0, 102))
        axes.legend(frameon=False)

    return Chart(
        key="spread",
        title=f"How {metric.words} is spread over the clients",
        alt=alt,
        caption=(
            f"{each} The height says how large a share of the clients stays at or below a value: "
            f"a steep line far to the {side} is fair and good. "
            "The shaded strip holds the worst tenth."
        ),
        svg=_svg(data, axis, x, share, tips).svg(alt),
        columns=columns,
        rows=rows,
        paint=paint,
    )


def _svg(data: RunData, axis: Axis, x: np.ndarray, share: np.ndarray, tips: list[str]) -> Plot:
    metric, figures = data.metric, data.figures
    plot = Plot(axis, Axis([0, 20, 40, 60, 80, 100], "share of clients (%)"))
    low, high = (0.0, 100 * TAIL) if metric.higher_is_better else (100 - 100 * TAIL, 100.0)
    plot.band(low, high, "tail")
    plot.steps([x[0], *x], [0, *(100 * share)], "client")
    for key, role, words in (("mean", "mean", "mean"), ("worst10", "worst", "worst tenth")):
        plot.upright(figures[key] * metric.scale, role)
        at = plot.px(figures[key] * metric.scale)
        left = at > LEFT + 130
        plot.write(
            at + (-7 if left else 7), TOP + (12 if key == "mean" else 34), words,
            f"label {role}", anchor="end" if left else "start",
        )  # fmt: skip
    for point, height, tip in zip(x, share, tips, strict=True):
        plot.mark(point, 100 * height, "client", tip)
    return plot
