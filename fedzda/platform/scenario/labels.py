"""A data set whose labels are positions in the order of the classes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from fedzda.platform.data.federation import Federation
from fedzda.platform.scenario.schedule import PhaseSchedule, positions


def relabelled(federation: Federation, schedule: PhaseSchedule) -> Federation:
    """The federation with labels and class names in the order in which classes are learned.

    Who holds what does not change, so a partition does not depend on the order.
    """
    order = list(schedule.order)
    if order == sorted(order):
        return federation
    position = positions(order)
    tables = {}
    for name, table in (("train", federation.train), ("test", federation.test)):
        labels = {"label": position[np.asarray(table["label"])]} if "label" in table else {}
        tables[name] = {**table, **labels}
    names = [federation.class_names[label] for label in order]
    return replace(federation, class_names=names, train=tables["train"], test=tables["test"])


def rows_of_phase(rows: np.ndarray, labels: np.ndarray, first: int, end: int) -> np.ndarray:
    """The rows whose label lies in ``first .. end - 1``, in their order."""
    own = np.asarray(labels)[rows]
    kept: np.ndarray = np.asarray(rows)[(own >= first) & (own < end)]
    return kept
