"""The cumulative distribution of the clients' final values, one line per group of runs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from fedzda.platform.compare import Group
from fedzda.platform.plot.series import over, pooled
from fedzda.platform.plot.style import QUIET, legend_above, line_look

HEIGHT = {"single": 2.4, "double": 2.8}
_INSIDE = 3
"""Up to this many names there is room for the legend beside the lines."""


def paint(figure: Figure, groups: Sequence[Group]) -> str:
    """Draw the lines; returns a caption. The clients of all seeds of a group are taken together."""
    shown = groups[0].metric
    axes = figure.add_subplot()
    said = []
    for number, group in enumerate(groups):
        values = pooled(group) * shown.scale
        share = 100 * np.arange(1, values.size + 1) / values.size
        axes.step(
            np.r_[values[0], values], np.r_[0, share], where="post", label=group.label,
            **line_look(number),
        )  # fmt: skip
        said.append(f"{group.label} ({values.size:,} values of {over(group)})")
    tail = 10 if shown.higher_is_better else 90
    axes.axhline(tail, color=QUIET, linewidth=0.7, zorder=1)
    axes.annotate(
        "worst tenth", (1, tail), (-2, 2), xycoords=("axes fraction", "data"),
        textcoords="offset points", ha="right", color=QUIET, fontsize=6.5,
    )  # fmt: skip
    axes.set(xlabel=f"client {shown.label}", ylabel="share of clients (%)", ylim=(0, 101))
    if len(groups) > _INSIDE:
        legend_above(figure, *axes.get_legend_handles_labels())
    elif len(groups) > 1:
        axes.legend(loc="upper left" if shown.higher_is_better else "lower right")
    stored = groups[0].runs[0].path.is_dir()
    when = "after the last evaluated round" if stored else "averaged over the last rounds"
    return f"Share of clients at or below each value of {shown.words} {when}: {'; '.join(said)}."
