"""The labels that every client trains on: how unlike the clients are."""

from __future__ import annotations

import numpy as np

from fedzda.platform.report import load
from fedzda.platform.report.charts import heat
from fedzda.platform.report.charts.base import Chart
from fedzda.platform.report.data import RunData


def draw(data: RunData) -> Chart | None:
    """A map of clients by classes, or None without label counts or with a single class."""
    if not data.map_clients.size or len(data.classes) < 2:
        return None
    counts = data.label_map
    if counts is None or not counts.any():
        return None
    total = load.train_sizes(data.folder.path, data.map_clients)
    assert total is not None  # or there would be no counts
    share = np.where(counts > 0, counts / np.maximum(total, 1), np.nan)
    names = [data.class_name(label) for label in data.classes]
    clients = [str(c) for c in data.map_clients]
    grid = heat.Grid(
        value=share,
        classes=names,
        clients=clients,
        tip=lambda i, j: (
            f"client {clients[j]}, class {names[i]}: {counts[i, j]:,} of {total[j]:,} samples"
        ),
        cell=lambda i, j: f"{counts[i, j]:,}",
        legend="share of the client's samples (%)",
        missing="the client does not train on the class",
        hatched=False,
    )
    held = (counts > 0).sum(axis=0)
    alt = (
        f"Heat map of training labels for {len(clients)} clients and {len(names)} classes: a "
        f"client holds {held.min()} to {held.max()} classes, {np.median(held):g} at the median."
    )
    return heat.chart(
        grid,
        key="labels",
        title="Training labels by client and class",
        alt=alt,
        caption=f"{data.map_note} Colours are shares of a client's samples, numbers are samples.",
    )
