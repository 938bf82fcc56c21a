"""The labels that every cluster of clients trains on."""

from __future__ import annotations

import numpy as np

from fedzda.platform.report import load
from fedzda.platform.report.charts import heat
from fedzda.platform.report.charts.base import Chart
from fedzda.platform.report.data import MAP_CLIENTS, RunData


def draw(data: RunData) -> Chart | None:
    """A map of clusters by classes, or None if the partition has no clusters."""
    ids = load.clients_with_labels(data.folder.path)
    known = np.array([client for client in ids if int(client) in data.clusters], dtype=np.int64)
    if not known.size or not data.classes:
        return None
    counts = load.label_counts(data.folder.path, known, data.classes)
    sizes = load.train_sizes(data.folder.path, known)
    assert counts is not None
    assert sizes is not None
    owner = np.array([data.clusters[int(client)] for client in known])
    number = int(owner.max()) + 1
    if number > MAP_CLIENTS:
        return None
    total = np.stack([counts[:, owner == k].sum(axis=1) for k in range(number)], axis=1)
    clients = np.bincount(owner, minlength=number)
    names = [data.class_name(label) for label in data.classes]
    whole = np.bincount(owner, weights=sizes, minlength=number).astype(np.int64)
    grid = heat.Grid(
        value=np.where(total > 0, total / np.maximum(whole, 1), np.nan),
        classes=names,
        clients=[str(k) for k in range(number)],
        tip=lambda i, j: (
            f"cluster {j} ({clients[j]} clients), class {names[i]}: {total[i, j]:,} of "
            f"{whole[j]:,} samples"
        ),
        cell=lambda i, j: f"{total[i, j]:,}",
        legend="share of the cluster's samples (%)",
        missing="no client of the cluster trains on the class",
        hatched=False,
        column="cluster",
        order="cluster",
    )
    held = (total > 0).sum(axis=0)
    alt = (
        f"Heat map of training labels for {number} clusters and {len(names)} classes: a cluster "
        f"holds {held.min()} to {held.max()} classes."
    )
    return heat.chart(
        grid,
        key="clusters",
        title="Training labels by cluster and class",
        alt=alt,
        caption="Clients of a cluster share these labels. Colours are shares, numbers samples."
        + data.class_note,
        inches=(5.0, 3.4),
    )
