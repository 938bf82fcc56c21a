"""What each group of clients or samples got."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fedzda.platform.report.charts.base import CLIENT, MEAN, Chart
from fedzda.platform.report.data import RunData
from fedzda.platform.report.svg import HEIGHT, LEFT, Axis, Plot, ticks
from fedzda.platform.report.units import DASH, NBSP, count

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST = 20


def draw(data: RunData) -> Chart | None:
    """A dot per group, or None if groups were not compared."""
    groups = data.groups.get("groups") or {}
    if len(groups) < 2:
        return None
    ranked = sorted(groups.items(), key=lambda item: item[1]["accuracy"])
    if len(ranked) > _MOST:
        ranked = [*ranked[: _MOST // 2], *ranked[-_MOST // 2 :]]
    names = [name for name, _ in ranked]
    pooled = np.array([100 * found["accuracy"] for _, found in ranked])
    samples = np.array([found["samples"] for found in groups.values()])
    whole = float(
        samples @ [100 * found["accuracy"] for found in groups.values()] / max(samples.sum(), 1)
    )
    span = ticks(min(pooled.min(), whole), max(pooled.max(), whole))
    alt = (
        f"Accuracy of {len(names)} groups: lowest {names[0]} with {pooled[0]:.1f} %, highest "
        f"{names[-1]} with {pooled[-1]:.1f} %, all samples {whole:.1f} %."
    )

    def paint(axes: Axes) -> None:
        axes.axvline(whole, color=MEAN, linewidth=1.4, label="all samples")
        axes.scatter(pooled, range(len(names)), s=22, color=CLIENT)
        axes.set_yticks(range(len(names)), names)
        axes.set(xlabel="accuracy of the group's samples (%)")
        axes.legend(frameon=False)

    left_out = f" {len(names)} of {len(groups)} are drawn." if len(names) < len(groups) else ""
    return Chart(
        key="groups",
        title=f"Accuracy by {word(data)}",
        alt=alt,
        caption=f"Each dot is one group, all its samples together; the line is all samples."
        f"{left_out}",
        svg=_svg(names, pooled, whole, span, groups).svg(alt),
        columns=["Group", "Clients", "Samples", "Accuracy", "Mean over its clients"],
        rows=[
            [
                name,
                count(found["clients"]),
                count(found["samples"]),
                f"{100 * found['accuracy']:.1f}{NBSP}%",
                DASH if found["mean"] is None else f"{100 * found['mean']:.1f}{NBSP}%",
            ]
            for name, found in ranked
        ],
        paint=paint,
    )


def word(data: RunData) -> str:
    """What the groups are told apart by."""
    by = str(data.groups.get("by"))
    return str(data.groups.get("attribute") or by.replace("-", " "))


def _svg(
    names: list[str],
    pooled: np.ndarray,
    whole: float,
    span: list[float],
    groups: dict[str, dict[str, float]],
) -> Plot:
    places = [float(i) for i in range(len(names) + 2)]
    # names stand above their dots: beside the axis a phone has no room for them
    y = Axis(places, "", lambda _: "")
    plot = Plot(Axis(span, "accuracy of the group's samples (%)"), y)
    plot.upright(whole, "mean")
    at = plot.px(whole)
    left = at > (LEFT + plot.right) / 2
    plot.write(at + (-7 if left else 7), HEIGHT - 76, "all samples", "label mean",
               anchor="end" if left else "start")  # fmt: skip
    for i, (name, value) in enumerate(zip(names, pooled, strict=True)):
        tip = f"{name}: {value:.1f}{NBSP}% of {count(groups[name]['samples'])} samples"
        plot.mark(value, i + 1.0, "client", tip)
        short = name if len(name) <= 24 else f"{name[:23]}…"
        plot.write(LEFT + 6, plot.py(i + 1.0) - 12, short, "label", anchor="start")
    return plot
