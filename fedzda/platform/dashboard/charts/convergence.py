"""The worst tenth over the rounds, one line per group of runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fedzda.platform.compare import Comparison
from fedzda.platform.dashboard.charts import series
from fedzda.platform.dashboard.charts.series import MOST, Series
from fedzda.platform.report.charts.base import Drawing
from fedzda.platform.report.load import read_run
from fedzda.platform.report.svg import Plot
from fedzda.platform.report.units import Metric


def draw(found: Comparison) -> Drawing | None:
    """Means over the seeds of each group."""
    shown = found.shown
    pairs = zip(found.labels[:MOST], found.rows, strict=False)
    drawn = [line for label, row in pairs if (line := _line(label, row["paths"], shown)).x]
    if not drawn:
        return None
    x = series.rounds_axis([r for each in drawn for r in each.x])
    plot = Plot(x, series.axis([v for e in drawn for v in e.y], f"worst tenth, {shown.label}"))
    series.lines(plot, drawn)
    ends = ", ".join(f"{e.label} ends at {shown.show(e.y[-1] / shown.scale)}" for e in drawn)
    alt = f"The worst tenth over the rounds: {ends}."
    return Drawing(
        key="convergence",
        title="The worst tenth over the rounds",
        alt=alt,
        caption="The mean over the seeds of a group, in the rounds that all of them evaluated.",
        svg=series.picture(plot, drawn, alt),
        columns=["Group", "First", "Highest", "Last"],
        rows=[
            [e.label, *(shown.show(v / shown.scale) for v in (e.y[0], max(e.y), e.y[-1]))]
            for e in drawn
        ],
    )


def _line(label: str, paths: list[str], shown: Metric) -> Series:
    by_round: dict[int, list[float]] = {}
    for path in paths:
        for row in read_run(Path(path)).rounds:
            value = ((row.get("metrics") or {}).get(shown.name) or {}).get("worst10")
            if value is not None:
                by_round.setdefault(int(row["round"]), []).append(float(value))
    points = [(r, float(np.mean(v))) for r, v in sorted(by_round.items()) if len(v) == len(paths)]
    tips = [f"{label}, round {r}: worst tenth {shown.show(v)}" for r, v in points]
    found = Series(label, [r for r, _ in points], [v * shown.scale for _, v in points], tips)
    return found.thinned()
