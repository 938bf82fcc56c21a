"""The charts for paper: PNG and PDF by matplotlib."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from fedzda.platform.files import replacing
from fedzda.platform.report.charts.base import Chart

STYLE: dict[Any, Any] = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e3e6e8",
    "axes.axisbelow": True,
    "legend.fontsize": 8,
    "text.parse_math": False,  # a class may be called "$"
    "pdf.fonttype": 42,  # TrueType: publishers refuse the default, Type 3
}
DPI = 200


def save(chart: Chart, folder: Path) -> list[Path]:
    """Write ``<key>.png`` and ``<key>.pdf`` into ``folder``; the style is undone afterwards.

    Files carry no date, so that equal figures are equal files.
    """
    written = []
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=chart.inches, layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.add_subplot()
        axes.grid(not chart.wide)
        chart.paint(axes)
        figure.draw_without_rendering()  # lays it out, once instead of twice per file
        figure.set_layout_engine("none")
        for ending, metadata in (("png", {"Software": None}), ("pdf", {"CreationDate": None})):
            path = folder / f"{chart.key}.{ending}"
            with replacing(path) as temporary:
                figure.savefig(temporary, format=ending, dpi=DPI, metadata=metadata)
            written.append(path)
    return written
