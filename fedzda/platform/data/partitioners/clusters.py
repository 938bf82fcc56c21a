"""Clusters of clients that share a label distribution, as clustered methods assume them.

The setting of Sattler et al. 2021 (*Clustered federated learning*) and of Ghosh et al. 2020 (IFCA,
section 6). The latter's clusters differ in how their images are turned: that is ``labels: pool``
here, with ``data.shift: {name: rotation, by: cluster}``.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from fedzda.base import UserError
from fedzda.platform.data.apportion import Ints
from fedzda.platform.data.partitioners.config import ClustersConfig
from fedzda.platform.data.partitioners.deal import Partition, deal, from_owner
from fedzda.platform.data.sources.raw import Array


def cluster_of(num_clients: int, clusters: int) -> Ints:
    """``(num_clients,)`` the cluster of each client: neighbours, in blocks of like size."""
    return np.arange(num_clients, dtype=np.int64) * clusters // num_clients


def assign(
    config: ClustersConfig,
    labels: Ints,
    columns: dict[str, Array],
    num_clients: int,
    rng: np.random.Generator,
) -> Partition:
    """Every sample exactly once; clients of a cluster hold each class in equal numbers, give or
    take one.

    Raises:
        UserError: More clusters than clients, or with ``labels: classes`` than classes.
    """
    stock = np.bincount(labels)
    held = int((stock > 0).sum())
    limits = [("data.clients", num_clients)]
    limits += [("the number of classes", held)] if config.labels == "classes" else []
    for name, limit in limits:
        if config.clusters > limit:
            raise UserError(
                f"data.partition.clusters is {config.clusters}, but {name} is {limit}: lower it."
            )
    owner = cluster_of(num_clients, config.clusters)
    share_GK = _shares(config, np.bincount(owner), stock, rng)
    ends = np.floor(np.cumsum(share_GK, axis=0) * stock + 0.5).astype(np.int64)
    ends[-1] = stock
    counts = np.zeros((num_clients, len(stock)), dtype=np.int64)
    for cluster, row in enumerate(np.diff(np.minimum(ends, stock), axis=0, prepend=0)):
        counts[owner == cluster] = _divided(row, int((owner == cluster).sum()), rng)
    return from_owner(deal(counts, labels, rng), num_clients)


def _shares(
    config: ClustersConfig, sizes: Ints, stock: Ints, rng: np.random.Generator
) -> npt.NDArray[np.float64]:
    """Share of each class that each cluster gets, ``(clusters, classes)``; columns add up to 1."""
    shape = (config.clusters, len(stock))
    if config.labels == "pool":
        return np.broadcast_to((sizes / sizes.sum())[:, None], shape)
    if config.labels == "dirichlet":
        return rng.dirichlet(np.full(config.clusters, config.alpha), size=len(stock)).T
    found = np.zeros(shape)
    present = rng.permutation(np.flatnonzero(stock))
    found[np.arange(len(present)) % config.clusters, present] = 1.0
    return found


def _divided(row: Ints, clients: int, rng: np.random.Generator) -> Ints:
    """``(clients, classes)`` equal shares; what is left over goes to clients drawn at random.

    The left-overs of one class after the other are dealt round, so that sizes differ by one too.
    """
    counts = np.repeat((row // clients)[None], clients, axis=0)
    left = row % clients
    turn = np.arange(left.sum()) % clients
    np.add.at(counts, (rng.permutation(clients)[turn], np.repeat(np.arange(len(row)), left)), 1)
    return counts
