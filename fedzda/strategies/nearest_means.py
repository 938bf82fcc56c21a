"""The server's part in nearest-mean-of-exemplars classification: the means of all classes.

Every client that can be reached is asked once at the end of a phase; the question carries the
model, and question and answers are counted in the run's bytes. What leaves a client is said in
:mod:`fedzda.clients.incremental.nearest_mean`.
"""

from __future__ import annotations

import numpy as np
from flwr.app import ArrayRecord, ConfigRecord, Message, RecordDict
from flwr.serverapp import Grid

from fedzda.platform.engines.grid import FIRST_NODE
from fedzda.platform.records import arrays_of
from fedzda.platform.scenario.nearest_mean import QUERY, SUMS, class_means
from fedzda.platform.setting import Setting


def exemplar_means(
    setting: Setting, grid: Grid, server_round: int, arrays: ArrayRecord
) -> np.ndarray | None:
    """Unit mean features of the exemplars of every class seen, ``(seen, D)``.

    None where no client keeps any.
    """
    config = ConfigRecord({"server-round": server_round})
    record = RecordDict({"arrays": arrays, "config": config})
    asked = [Message(record, FIRST_NODE + int(client), QUERY) for client in setting.reachable()]
    total: np.ndarray | None = None
    for reply in grid.send_and_receive(asked):
        if reply.has_error() or SUMS not in reply.content:
            continue
        sums = arrays_of(reply.content[SUMS])["sums"].astype(np.float64)  # type: ignore[arg-type]
        total = sums if total is None else total + sums
    return None if total is None else class_means(total)
