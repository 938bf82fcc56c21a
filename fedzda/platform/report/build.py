"""Makes ``report.html`` and ``figures/`` of a run folder, from its files alone."""

from __future__ import annotations

from pathlib import Path

from fedzda.platform.files import write_text
from fedzda.platform.report import figures, html
from fedzda.platform.report.charts import draw_all
from fedzda.platform.report.data import collect


def build_report(run_dir: Path, local: Path | None = None) -> Path:
    """Write the report of a run, finished or not; an older report is replaced.

    Args:
        run_dir: A run folder.
        local: A local-only run on the same data; with it the report shows gain against cost.

    Returns:
        The path of ``report.html``, one file that needs nothing else. ``figures/`` beside it has
        every chart as PNG and PDF.

    Raises:
        UserError: A path is no run folder, one of its files is damaged, or the runs share no
            evaluated client.
    """
    data = collect(run_dir, local)
    charts = draw_all(data)
    folder = run_dir / "figures"
    folder.mkdir(exist_ok=True)
    for chart in charts:
        figures.save(chart, folder)
    path = run_dir / "report.html"
    write_text(path, html.page(data, charts))
    return path
