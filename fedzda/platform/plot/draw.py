"""``fedzda plot``: from runs to one file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from fedzda.base import UserError
from fedzda.platform.compare import compare_runs, groups_of
from fedzda.platform.files import replacing
from fedzda.platform.plot import cdf, convergence, maps, pareto
from fedzda.platform.plot.series import single_run
from fedzda.platform.plot.style import DPI, INCHES, PAPER, Width

FIGURES = {
    "cdf": (cdf.paint, cdf.HEIGHT),
    "convergence": (convergence.paint, convergence.HEIGHT),
    "pareto": (pareto.paint, pareto.HEIGHT),
    "heatmap": (maps.paint_recall, maps.HEIGHT),
    "labels": (maps.paint_labels, maps.HEIGHT),
}
"""What can be drawn: how, and how high it is in inches."""
MAPS = ("heatmap", "labels")
"""Those of a single run."""
_METADATA: dict[str, dict[str, Any]] = {
    ".pdf": {"CreationDate": None},
    ".svg": {"Date": None},
    ".png": {"Software": None},
}
"""Files carry no date, so that equal figures are equal files."""


def draw(
    runs: Sequence[Path],
    figure: str,
    out: Path,
    width: Width = "single",
    title: str | None = None,
) -> str:
    """Draw a figure of some runs and write it as PDF, PNG or SVG; returns a caption for it.

    Args:
        runs: Run folders, result files of sweeps, or folders of these; runs that differ only in
            the seed are one series.
        figure: A key of :data:`FIGURES`.
        out: The file; its ending says of which kind.
        width: Of one or of two columns.
        title: Above the figure; left out: none, as papers have captions.

    Raises:
        UserError: No such figure, ending or folder, or the runs have nothing to draw.
    """
    if figure not in FIGURES:
        raise UserError(f"--figure is '{figure}'. Choose one of: {', '.join(FIGURES)}.")
    if out.suffix not in _METADATA:
        known = ", ".join(_METADATA)
        raise UserError(f"--out '{out}' should end in one of {known} (got '{out.suffix}').")
    if not out.parent.is_dir():
        raise UserError(f"--out '{out}': there is no folder '{out.parent}'. Make it first.")
    paint, heights = FIGURES[figure]
    drawn: list[Any] = [single_run(runs, figure) if figure in MAPS else groups_of(runs)]
    if figure == "pareto":
        drawn.append(compare_runs(runs))
    with mpl.rc_context(PAPER):
        canvas = Figure(figsize=(INCHES[width], heights[width]), layout="constrained")
        FigureCanvasAgg(canvas)
        caption: str = paint(canvas, *drawn)  # type: ignore[operator]
        if title:
            canvas.suptitle(title, fontsize=9)
        with replacing(out) as temporary:
            canvas.savefig(
                temporary, format=out.suffix[1:], dpi=DPI, metadata=_METADATA[out.suffix]
            )
    return caption
