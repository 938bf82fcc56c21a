"""Distributions of the clients' values, one line per group of runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fedzda.platform.compare import Comparison
from fedzda.platform.dashboard.charts import series
from fedzda.platform.dashboard.charts.series import MOST, Series
from fedzda.platform.report.charts.base import Drawing
from fedzda.platform.report.load import Floats, client_values
from fedzda.platform.report.svg import Axis, Plot
from fedzda.platform.report.units import NBSP, Metric

_POINTS = 100
"""Percentiles of a line."""
_CUTS = (0.1, 0.25, 0.5, 0.75, 0.9)


def draw(found: Comparison) -> Drawing | None:
    """Share of clients at or below each value; the seeds of a group are pooled."""
    shown = found.shown
    drawn, rows = [], []
    for label, row in zip(found.labels[:MOST], found.rows, strict=False):
        values = _pooled(row["paths"], found.metric)
        if values.size:
            drawn.append(_line(label, values, shown))
            rows.append([label, *(shown.show(float(_cut(values, cut))) for cut in _CUTS)])
    if not drawn:
        return None
    x = series.axis([v for each in drawn for v in each.x], f"client {shown.label}")
    plot = Plot(x, Axis([0, 20, 40, 60, 80, 100], "share of clients (%)"))
    series.lines(plot, drawn, steps=True)
    side = "right" if shown.higher_is_better else "left"
    medians = ", ".join(f"{row[0]} {row[3]}" for row in rows)
    alt = f"Cumulative distributions of {shown.words} over the clients. Medians: {medians}."
    return Drawing(
        key="cdf",
        title=f"How {shown.words} is spread over the clients",
        alt=alt,
        caption=(
            "The height says how large a share of the clients stays at or below a value: further "
            f"{side} is better, steeper is more even. The clients of all seeds of a group are "
            "taken together."
        ),
        svg=series.picture(plot, drawn, alt),
        columns=["Group", f"10{NBSP}% at most", f"25{NBSP}%", "Half", f"75{NBSP}%", f"90{NBSP}%"],
        rows=rows,
    )


def _pooled(paths: list[str], name: str) -> Floats:
    """Values of all clients of some runs, ascending, those without a value left out."""
    found = [client_values(Path(path), name) for path in paths]
    values = np.concatenate([np.empty(0), *(each.value for each in found if each is not None)])
    return np.sort(values[np.isfinite(values)])


def _cut(values: Floats, share: float) -> float:
    """The smallest value that a share of the clients stays at or below."""
    return float(values[int(np.ceil(share * values.size - 1e-9)) - 1])


def _line(label: str, values: Floats, shown: Metric) -> Series:
    points = min(values.size, _POINTS)
    shares = [(i + 1) / points for i in range(points)]
    at = [_cut(values, share) for share in shares]
    tips = [f"{label}: {share:.0%} of clients at most {shown.show(v)}"
            for share, v in zip(shares, at, strict=True)]  # fmt: skip
    return Series(label, [v * shown.scale for v in at], [100 * share for share in shares], tips)
