"""How one-sided and how large the clients' data are: label and quantity skew in one picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from fedzda.platform.heterogeneity import label_distances
from fedzda.platform.report import load
from fedzda.platform.report.charts.base import CLIENT, MAX_POINTS, WORST, Chart
from fedzda.platform.report.charts.size import x_axis
from fedzda.platform.report.data import RunData
from fedzda.platform.report.svg import Axis, Plot
from fedzda.platform.report.units import count

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_WHAT = "training samples"
_ALIKE = 0.05


def draw(data: RunData) -> Chart | None:
    """A dot per client; None without label counts, with a single class, and for clients that are
    equally large and one-sided."""
    ids = load.clients_with_labels(data.folder.path)
    if ids.size < 2 or len(data.classes) < 2:
        return None
    shown = ids[np.linspace(0, ids.size - 1, min(ids.size, MAX_POINTS)).round().astype(np.int64)]
    counts = load.label_counts(data.folder.path, shown, data.all_classes)
    if counts is None or not counts.any():
        return None
    kept = counts.sum(axis=0) > 0
    shown, counts = shown[kept], counts[:, kept]
    stock = load.label_stock(data.folder.path, data.all_classes)
    sizes, distance = counts.sum(axis=0).astype(float), label_distances(counts.T, stock)
    if np.ptp(distance) < _ALIKE and sizes.max() < (1 + _ALIKE) * sizes.min():
        return None
    tail = np.isin(shown, [] if data.final is None else data.final.client[data.worst])
    x, y = x_axis(sizes, _WHAT), Axis([0, 0.2, 0.4, 0.6, 0.8, 1.0], "label distance to all clients")
    alt = (
        f"Scatter plot of label distance against {_WHAT} for {shown.size} clients: distances from "
        f"{distance.min():.2f} to {distance.max():.2f}, {count(sizes.min())} to "
        f"{count(sizes.max())} samples."
    )

    def paint(axes: Axes) -> None:
        axes.scatter(sizes[~tail], distance[~tail], s=14, color=CLIENT, label="clients")
        if tail.any():
            axes.scatter(sizes[tail], distance[tail], s=18, color=WORST, marker="s",
                         label="worst tenth")  # fmt: skip
        scale = "log" if x.log else "linear"
        axes.set(xlabel=x.title, ylabel=y.title, xscale=scale, ylim=(0, 1))
        axes.legend(frameon=False)

    notes = [" Squares are the worst tenth."] if tail.any() else []
    if shown.size < ids.size:
        notes.append(f" {shown.size} of {ids.size:,} clients are drawn.")
    rows = zip(shown, sizes, distance, tail, strict=True)
    return Chart(
        key="skew",
        title="How one-sided and how large the clients' data are",
        alt=alt,
        caption=(
            "Each dot is one client. A label distance of 0 means that it holds the labels in the "
            "proportions of all clients together, close to 1 that it holds little else than one "
            f"class (total variation).{''.join(notes)}"
        ),
        svg=_svg(data, x, y, shown, sizes, distance, tail).svg(alt),
        columns=["Client", "Training samples", "Label distance", "In the worst tenth"],
        rows=[[str(c), count(s), f"{d:.3f}", "yes" if bad else "no"] for c, s, d, bad in rows],
        paint=paint,
    )


def _svg(
    data: RunData,
    x: Axis,
    y: Axis,
    shown: np.ndarray,
    sizes: np.ndarray,
    distance: np.ndarray,
    tail: np.ndarray,
) -> Plot:
    plot = Plot(x, y)
    for i in [*np.flatnonzero(~tail), *np.flatnonzero(tail)]:
        cluster = data.clusters.get(int(shown[i]))
        of = "" if cluster is None else f" of cluster {cluster}"
        tip = f"client {shown[i]}{of}: {count(sizes[i])} samples, label distance {distance[i]:.2f}"
        role, shape = ("worst", "square") if tail[i] else ("client", "circle")
        plot.mark(sizes[i], distance[i], role, tip, shape)
    return plot
