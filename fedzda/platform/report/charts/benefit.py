"""What clients gain over training alone, against the time they train for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fedzda.platform.report.charts.base import CLIENT, MAX_POINTS, WORST, Chart
from fedzda.platform.report.data import RunData
from fedzda.platform.report.svg import Axis, Plot, ticks
from fedzda.platform.report.units import duration, size

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def draw(data: RunData) -> Chart | None:
    """A dot per client, or None if no local-only run was named."""
    gains = data.gains
    if gains is None:
        return None
    n = gains.client.size
    kept = np.linspace(0, n - 1, min(n, MAX_POINTS)).round().astype(np.int64)
    client, gain = gains.client[kept], gains.gain[kept] * data.metric.scale
    seconds, moved = gains.seconds[kept], gains.num_bytes[kept]
    loses = gain < 0
    unit = "points" if data.metric.fraction else data.metric.unit or data.metric.words
    form = "+.1f" if data.metric.fraction else "+.4g"
    x = Axis(ticks(0.0, max(seconds.max(), 1e-3)), "time the client trained (s)")
    y = Axis(
        ticks(min(gain.min(), 0.0), max(gain.max(), 0.0)), f"gain over training alone ({unit})"
    )
    plot = Plot(x, y)
    plot.line([x.low, x.high], [0.0, 0.0], "client")
    for i in [*np.flatnonzero(~loses), *np.flatnonzero(loses)]:
        tip = (
            f"client {client[i]}: {gain[i]:{form}} {unit} for {duration(seconds[i])} and "
            f"{size(moved[i])}"
        )
        role, shape = ("worst", "square") if loses[i] else ("best", "circle")
        plot.mark(seconds[i], gain[i], role, tip.replace("-", "−"), shape)

    def paint(axes: Axes) -> None:
        axes.axhline(0, color=CLIENT, linewidth=1)
        axes.scatter(seconds[~loses], gain[~loses], s=14, color=CLIENT, label="better off")
        axes.scatter(seconds[loses], gain[loses], s=18, color=WORST, marker="s", label="worse off")
        axes.set(xlabel=x.title, ylabel=y.title)
        axes.legend(frameon=False)

    share = gains.figures["share_worse_off"]
    ends = f"from {gain.min():{form}} to {gain.max():{form}} {unit}"
    alt = (
        f"Scatter plot of the gain over training alone against training time for {client.size} "
        f"clients: {ends}; {share:.0%} are worse off."
    )
    note = "" if kept.size == n else f" {kept.size} of {n:,} clients are drawn."
    rows = zip(client, gain, seconds, moved, strict=True)
    return Chart(
        key="benefit",
        title="Benefit against cost",
        alt=alt,
        caption=(
            "Each dot is one client: what it gains over a model trained on its own data alone, and "
            f"how long it trained for the common one. Squares are worse off than alone.{note}"
        ),
        svg=plot.svg(alt),
        columns=["Client", f"Gain ({unit})", "Time trained", "Sent and received"],
        rows=[
            [str(c), f"{g:{form}}".replace("-", "−"), duration(s), size(b)] for c, g, s, b in rows
        ],
        paint=paint,
    )
