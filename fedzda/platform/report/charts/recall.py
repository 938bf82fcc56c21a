"""Recall of every class on every client: which classes a badly served client is failed in."""

from __future__ import annotations

import numpy as np

from fedzda.platform.report.charts import heat
from fedzda.platform.report.charts.base import Chart
from fedzda.platform.report.data import RunData


def draw(data: RunData) -> Chart | None:
    """A map of clients by classes, or None for a task without classes."""
    if not data.class_recalls or not data.ranking.size:
        return None
    names = [data.class_name(label) for label in data.classes]
    clients = [str(c) for c in data.map_clients]
    recall = data.recall_map

    def tip(i: int, j: int) -> str:
        head = f"client {clients[j]}, class {names[i]}: "
        share = recall[i, j]
        return head + ("no test sample" if np.isnan(share) else f"recall {100 * share:.0f} %")

    grid = heat.Grid(
        value=recall,
        classes=names,
        clients=clients,
        tip=tip,
        cell=lambda i, j: f"{100 * recall[i, j]:.0f}",
        legend="recall (%)",
        missing="the client has no test sample of the class",
    )
    lowest = min(data.class_recalls, key=lambda label: data.class_recalls[label][0])
    alt = (
        f"Heat map of recall for {len(clients)} clients and {len(names)} classes. Lowest on "
        f"average: {data.class_word(lowest)} with {100 * data.class_recalls[lowest][0]:.0f} %."
    )
    return heat.chart(
        grid,
        key="recall",
        title="Recall by client and class",
        alt=alt,
        caption=f"{data.map_note} Hatched: the client has no test sample of that class.",
    )
