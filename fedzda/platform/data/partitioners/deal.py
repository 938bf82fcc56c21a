"""The result of a partitioner, and the ways to make one without a loop over clients.

Letters in names: N clients, K classes.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fedzda.platform.data.apportion import Ints


class Partition(NamedTuple):
    """Which rows each client holds: client c has ``indices[offsets[c]:offsets[c + 1]]``."""

    indices: Ints
    """Rows, client by client."""
    offsets: Ints
    """(num_clients + 1,) where each client starts."""
    client_ids: list[str] | None = None
    """Natural names of the clients, if they have any."""


def from_owner(owner: Ints, num_clients: int, rows: Ints | None = None) -> Partition:
    """A partition from the client of each row (-1: dealt to nobody)."""
    order = np.argsort(owner, kind="stable")
    order = order[np.searchsorted(owner[order], 0) :]
    sizes = np.bincount(owner[order], minlength=num_clients)
    return Partition(order if rows is None else rows[order], np.r_[0, np.cumsum(sizes)])


def from_lists(lists: list[Ints]) -> Partition:
    """A partition from one array of rows per client."""
    offsets = np.r_[0, np.cumsum([len(rows) for rows in lists])].astype(np.int64)
    return Partition(np.concatenate(lists).astype(np.int64), offsets)


def deal(counts_NK: Ints, labels: Ints, rng: np.random.Generator) -> Ints:
    """The client of each row, so that client c gets ``counts_NK[c, k]`` random rows of class k.

    Rows beyond a class's counts get -1.
    """
    num_clients, num_classes = counts_NK.shape
    owner = np.full(len(labels), -1, dtype=np.int64)
    order = np.lexsort((rng.permutation(len(labels)), labels))
    starts = np.searchsorted(labels[order], np.arange(num_classes))
    for label in range(num_classes):
        clients = np.repeat(np.arange(num_clients), counts_NK[:, label])
        owner[order[starts[label] : starts[label] + len(clients)]] = clients
    return owner
