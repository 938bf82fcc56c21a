"""Distances of synthetic and of fresh real images to the clients' own."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fedzda.platform.report.charts.base import CLIENT, MEAN, WORST, Chart
from fedzda.platform.report.data import RunData
from fedzda.platform.report.svg import TOP, Axis, Plot, ticks

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_STYLE = (("worst", "square", WORST, "-"), ("client", "diamond", CLIENT, ":"),
          ("mean", "circle", MEAN, "--"))  # fmt: skip
"""Role on screen, marker, colour and dash on paper: of synthetic images, noise, real ones."""
_WHAT = "distance to the nearest image of a client"


def draw(data: RunData) -> Chart | None:
    """Cumulative distributions of the nearest distance, or None without a probe."""
    sets = data.probe.get("sets")
    if not sets:
        return None
    share = np.arange(1, 101)
    lines = [(row["set"], np.asarray(row["percentiles"], dtype=float)) for row in sets]
    # Noise lies far out: what matters is near the floor, so the axis ends a little beyond it.
    end = 3 * lines[-1][1][-1]
    plot = Plot(
        Axis(ticks(0.0, min(end, max(line[-1] for _, line in lines))), _WHAT),
        Axis([0, 20, 40, 60, 80, 100], "share of images (%)"),
    )
    for (name, line), (role, shape, _, _) in zip(lines, _STYLE, strict=True):
        inside = line <= plot.x.high
        if not inside.any():
            continue
        plot.steps([0.0, *line[inside]], [0, *share[inside]], role)
        for at, part in list(zip(line[inside], share[inside], strict=True))[9::10]:
            plot.mark(at, part, role, f"{part} % of {name}: at most {at:.3g}", shape)
    for height, ((name, _), (role, _, _, _)) in enumerate(zip(lines, _STYLE, strict=True)):
        plot.write(plot.right - 6, TOP + 190 + 24 * height, name, f"label {role}", anchor="end")

    def paint(axes: Axes) -> None:
        for (name, line), (_, _, colour, dash) in zip(lines, _STYLE, strict=True):
            axes.step(line, share, where="post", color=colour, linestyle=dash, label=name)
        axes.set(xlabel=_WHAT, ylabel="share of images (%)",
                 xlim=(0, plot.x.high), ylim=(0, 102))  # fmt: skip
        axes.legend(frameon=False)

    middle = {name: line[49] for name, line in lines}
    said = ", ".join(f"{name} {value:.3g}" for name, value in middle.items())
    return Chart(
        key="leakage",
        title="How close synthetic images come to the clients' own",
        alt=f"Cumulative distribution of the distance to the nearest image of a client: {said}.",
        caption=(
            "A curve left of that of fresh real images means images nearer to what clients hold "
            "than real ones are. Half of each kind lies within: " + said + "."
        ),
        svg=plot.svg(f"Cumulative distributions of nearest distances; medians: {said}."),
        columns=["Share of images", *(name for name, _ in lines)],
        rows=[
            [f"{part} %", *(f"{line[part - 1]:.4g}" for _, line in lines)]
            for part in range(10, 101, 10)
        ],
        paint=paint,
    )
