"""Mean and worst tenth over the rounds, one line per group of runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from fedzda.platform.compare import Group
from fedzda.platform.plot.series import curves, over
from fedzda.platform.plot.style import INCHES, legend_above, line_look

HEIGHT = {"single": 3.6, "double": 2.5}
_PANELS = (
    ("mean", "mean {}"),
    ("worst10", "worst tenth"),
)


def paint(figure: Figure, groups: Sequence[Group]) -> str:
    """Draw both panels, beneath each other in one column; returns a caption.

    Lines are means over seeds, bands reach from the lowest seed to the highest.
    """
    shown = groups[0].metric
    wide = figure.get_figwidth() > INCHES["single"] + 1
    grid: Any = figure.subplots(1 if wide else 2, 2 if wide else 1, sharex=True)
    panels: list[Axes] = list(grid)
    for axes, (key, words) in zip(panels, _PANELS, strict=True):
        for number, group in enumerate(groups):
            rounds, values = curves(group, key)
            values = values * shown.scale
            style = line_look(number)
            alone: dict[str, Any] = {"marker": "."} if rounds.size == 1 else {}
            axes.plot(rounds, values.mean(axis=0), label=group.label, **style, **alone)
            if len(values) > 1:
                axes.fill_between(
                    rounds, values.min(axis=0), values.max(axis=0), color=style["color"],
                    alpha=0.15, linewidth=0,
                )  # fmt: skip
        axes.set_ylabel(words.format(shown.words) + (f" ({shown.unit})" if shown.unit else ""))
        axes.margins(x=0.01)
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
    figure.align_ylabels(panels)
    for axes in panels if wide else panels[1:]:
        axes.set_xlabel("round")
    if len(groups) > 1:
        legend_above(figure, *panels[0].get_legend_handles_labels())
    bands = any(len(group.runs) > 1 for group in groups)
    said = "; ".join(f"{group.label} ({over(group)})" for group in groups)
    band = " Lines are means over seeds, bands reach from the lowest to the highest." * bands
    return f"Mean and worst tenth of the clients' {shown.words} over the rounds: {said}.{band}"
