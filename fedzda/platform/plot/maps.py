"""Maps of clients by classes: recall as colours, training labels as discs or bars."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from fedzda.base import UserError
from fedzda.platform.plot.style import COLOURS, INCHES
from fedzda.platform.report.data import RunData

HEIGHT = {"single": 2.6, "double": 3.0}
_MISSING, _HATCH = "#eceff1", "#b4bcc2"
_LONGEST = 12
"""Letters of a class name that are shown."""
_NARROW_PT = 6.0
"""Columns narrower than this (points) hold bars instead of discs."""


def paint_recall(figure: Figure, data: RunData) -> str:
    """Recall of every class on every client; returns a caption.

    Raises:
        UserError: The run has no recall by class.
    """
    if not data.class_recalls or not data.ranking.size:
        raise UserError(f"run '{data.folder.path}' has no recall by class to draw.")
    axes = figure.add_subplot()
    axes.set_facecolor(_MISSING)
    axes.patch.set(hatch="//////", edgecolor=_HATCH, linewidth=0)
    shown = axes.imshow(
        np.ma.masked_invalid(100 * data.recall_map), cmap="cividis", vmin=0, vmax=100,
        aspect="auto", interpolation="nearest",
    )  # fmt: skip
    _name(axes, data)
    bar = figure.colorbar(shown, ax=axes, label="recall (%)", pad=0.02, aspect=18)
    bar.outline.set_visible(False)
    assert data.final is not None  # or there would be no ranking
    return (
        f"Recall by class on the clients' test samples after round {data.final.round} of "
        f"{_title(data)}. {data.map_note} Hatched: no test sample of the class."
    )


def paint_labels(figure: Figure, data: RunData) -> str:
    """Training samples of every class on every client, as discs, or as bars where there
    are many clients; returns a caption.

    Raises:
        UserError: The run kept no label counts.
    """
    counts = data.label_map if data.map_clients.size and data.classes else None
    if counts is None or not counts.any():
        raise UserError(f"run '{data.folder.path}' kept no label counts to draw.")
    axes = figure.add_subplot()
    _name(axes, data)
    axes.set_xlim(-0.7, counts.shape[1] - 0.3)
    axes.set_ylim(counts.shape[0] - 0.4, -0.7)
    figure.draw_without_rendering()  # the layout decides how large a cell is
    box = axes.get_window_extent()
    column_pt, row_pt = (
        side * 72 / figure.dpi / cells
        for side, cells in ((box.width, counts.shape[1]), (box.height, counts.shape[0]))
    )
    row, column = np.nonzero(counts)
    share = counts[row, column] / counts.max()
    if column_pt < _NARROW_PT:  # discs would be dots
        style = {"linewidths": 0.75 * column_pt, "colors": COLOURS[0], "zorder": 2}
        axes.vlines(column, row + 0.4, row + 0.4 - 0.85 * share, **style)
    else:
        area = (0.92 * min(column_pt, row_pt)) ** 2 * share
        axes.scatter(column, row, s=area, color=COLOURS[0], linewidths=0, zorder=2)
    how = "height of a bar" if column_pt < _NARROW_PT else "area of a disc"
    return (
        f"Training samples by client and class of {_title(data)}: the {how} is the number of "
        f"samples, {int(counts.max()):,} at most. {data.map_note}"
    )


def _name(axes: Axes, data: RunData) -> None:
    """Names of clients and classes along the axes, as many as there is room for."""
    wide = axes.figure.get_figwidth() > INCHES["single"] + 1  # type: ignore[union-attr]
    clients = [str(client) for client in data.map_clients]
    classes = [data.class_name(label) for label in data.classes]
    classes = [name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…" for name in classes]
    digits = max(map(len, clients))
    room = int((26 if wide else 11) * 2 / max(2, digits))
    for axis, names, most in ((axes.xaxis, clients, room), (axes.yaxis, classes, 20)):
        stride = -(-len(names) // most)
        axis.set_ticks(list(range(0, len(names), stride)), names[::stride])
    axes.tick_params(length=0)
    axes.grid(False)
    order = "client, worst first" if data.ranking.size else "client"
    axes.set(xlabel=order, ylabel="class")


def _title(data: RunData) -> str:
    return str(data.folder.config.get("name") or data.folder.path.name)
