"""The charts of a report, one file each. A file gathers its numbers once and draws them twice.

Each offers ``draw(data) -> Chart | None``; None says that the run has nothing for it.
"""

from __future__ import annotations

from fedzda.platform.report.charts import (
    benefit,
    clusters,
    groups,
    labels,
    leakage,
    phases,
    progress,
    recall,
    size,
    skew,
    spread,
)
from fedzda.platform.report.charts.base import Chart
from fedzda.platform.report.data import RunData

__all__ = ["Chart", "draw_all"]


def draw_all(data: RunData) -> list[Chart]:
    """Every chart that the run has numbers for, in the order of the report."""
    parts = (
        spread,
        progress,
        phases,
        size,
        groups,
        benefit,
        leakage,
        skew,
        recall,
        labels,
        clusters,
    )
    drawn = [part.draw(data) for part in parts]
    return [chart for chart in drawn if chart is not None]
