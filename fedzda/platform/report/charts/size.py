"""The clients' values against the amount of data they hold."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fedzda.platform.report.charts.base import CLIENT, MAX_POINTS, MEAN, WORST, Chart
from fedzda.platform.report.data import RunData
from fedzda.platform.report.load import Floats
from fedzda.platform.report.svg import Axis, Plot, log_ticks, ticks
from fedzda.platform.report.units import count

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BINS = 20
"""Groups of clients of like size, when there are too many clients to draw each."""
_UNLIKE = 1.2
"""Clients whose sizes differ by less than this factor are called equally large."""


def draw(data: RunData) -> Chart | None:
    """A dot per client, or per group of clients of like size."""
    what, sizes = data.sizes
    kept = data.ranking[sizes[data.ranking] > 0]
    if data.final is None or kept.size < 2 or np.unique(sizes[kept]).size < 2:
        return None
    if kept.size > MAX_POINTS:
        return _grouped(data, what, sizes[kept].astype(float), data.final.value[kept])
    return _one_by_one(data, what, sizes, kept)


def x_axis(sizes: Floats, what: str) -> Axis:
    """An axis of client sizes, logarithmic where they differ much."""
    log = sizes.max() > 20 * sizes.min()
    ends = sizes.min(), sizes.max()
    at = log_ticks(*ends) if log else ticks(*ends, least_step=1)
    return Axis(at, f"{what} of the client" + (" (log scale)" if log else ""), count, log)


def _one_by_one(data: RunData, what: str, sizes: np.ndarray, kept: np.ndarray) -> Chart:
    assert data.final is not None
    metric, worst = data.metric, set(data.worst.tolist())
    size, value = sizes[kept].astype(float), data.final.value[kept]
    client, tail = data.final.client[kept], np.array([int(i) in worst for i in kept])
    x, y = x_axis(size, what), value * metric.scale
    plot = Plot(x, Axis(ticks(y.min(), y.max()), f"client {metric.label}"))
    rows = []
    for c, s, v, bad in zip(client, size, value, tail, strict=True):
        rows.append([str(c), count(s), metric.show(v), "yes" if bad else "no"])
    # The worst are drawn last, on top, and with a shape of their own.
    for i in [*np.flatnonzero(~tail), *np.flatnonzero(tail)]:
        tip = f"client {client[i]}: {metric.show(value[i])}, {count(size[i])} {what}"
        role, shape = ("worst", "square") if tail[i] else ("client", "circle")
        plot.mark(size[i], y[i], role, tip, shape)

    def paint(axes: Axes) -> None:
        axes.scatter(size[~tail], y[~tail], s=14, color=CLIENT, label="clients")
        axes.scatter(size[tail], y[tail], s=18, color=WORST, marker="s", label="worst tenth")
        axes.set(xlabel=x.title, ylabel=f"client {metric.label}", xscale=_scale(x))
        axes.legend(frameon=False)

    said = trend(size, value)
    alt = (
        f"Scatter plot of {metric.words} against {what} for {kept.size} clients with "
        f"{count(size.min())} to {count(size.max())} {what}. {said}"
    )
    return Chart(
        key="size",
        title=f"{metric.title} against client size",
        alt=alt,
        caption=f"Each dot is one client; squares are the worst tenth. {said}",
        svg=plot.svg(alt),
        columns=["Client", what.capitalize(), metric.title, "In the worst tenth"],
        rows=rows,
        paint=paint,
    )


def _grouped(data: RunData, what: str, size: Floats, value: Floats) -> Chart:
    """Deciles of the value in groups of clients of like size."""
    metric, order = data.metric, np.argsort(size, kind="stable")
    groups = [group for group in np.array_split(order, BINS) if group.size]
    middle = np.array([np.median(size[group]) for group in groups])
    low, mid, high = np.array([np.quantile(value[g], [0.1, 0.5, 0.9]) for g in groups]).T
    y = Axis(ticks(low.min() * metric.scale, high.max() * metric.scale), f"client {metric.label}")
    plot = Plot(x := x_axis(middle, what), y)
    for series, role, words, shape in (
        (high, "client", "nine in ten at most", "diamond"),
        (mid, "mean", "median", "circle"),
        (low, "worst", "one in ten at most", "square"),
    ):
        plot.line(middle.tolist(), (series * metric.scale).tolist(), role)
        for s, v in zip(middle, series, strict=True):
            tip = f"about {count(s)} {what}, {words}: {metric.show(v)}"
            plot.mark(s, v * metric.scale, role, tip, shape)

    def paint(axes: Axes) -> None:
        axes.fill_between(middle, low * metric.scale, high * metric.scale, color=MEAN, alpha=0.2)
        axes.plot(middle, mid * metric.scale, color=MEAN)
        axes.set(xlabel=x.title, ylabel=f"client {metric.label}", xscale=_scale(x))

    said = trend(size, value)
    alt = (
        f"{metric.words} against {what} in {len(groups)} groups of clients of like size, "
        f"{size.size:,} clients. {said}"
    )
    return Chart(
        key="size",
        title=f"{metric.title} against client size",
        alt=alt,
        caption=(
            f"{size.size:,} clients in {len(groups)} groups of like size: the median (circles), "
            "what nine in ten reach at most (diamonds) and what one in ten reaches at most "
            f"(squares). {said}"
        ),
        svg=plot.svg(alt),
        columns=[
            *(f"{what.capitalize()} (median)", "Clients"),
            *("Lowest decile", "Median", "Highest decile"),
        ],
        rows=[
            [count(s), count(group.size), *(metric.show(v) for v in cut)]
            for s, group, cut in zip(middle, groups, zip(low, mid, high, strict=True), strict=True)
        ],
        paint=paint,
    )


def _scale(axis: Axis) -> str:
    return "log" if axis.log else "linear"


def rank_correlation(first: Floats, second: Floats) -> float:
    """Spearman's rank correlation with average ranks for ties; 0 if one side is constant."""
    a, b = _ranks(first), _ranks(second)
    a, b = a - a.mean(), b - b.mean()
    scale = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / scale if scale > 0 else 0.0


def _ranks(values: Floats) -> Floats:
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return np.asarray((last - (counts - 1) / 2)[inverse], dtype=np.float64)


def trend(size: Floats, value: Floats) -> str:
    """Whether size and value go together, in one sentence.

    "Go together" means a rank correlation beyond ``2 / sqrt(n - 1)``, about twice its standard
    error under independence. Sizes that hardly differ are not looked at.
    """
    if size.max() < _UNLIKE * size.min():
        return "The clients are about equally large."
    rho = rank_correlation(size, value)
    words = f"(rank correlation {rho:+.2f}).".replace("-", "−")
    if abs(rho) * np.sqrt(size.size - 1) < 2:
        return f"Size and value do not visibly go together {words}"
    return f"Clients with less data have {'lower' if rho > 0 else 'higher'} values {words}"
