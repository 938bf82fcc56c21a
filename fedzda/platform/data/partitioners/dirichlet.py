"""Label skew by a Dirichlet draw per class over the clients (Yurochkin et al. 2019, section 4;
Li et al. 2022, "label distribution skew"), as in flwr-datasets, but vectorised and without retries.

Deviation: where that draw leaves a client with too little, flwr-datasets draws everything anew, up
to ten times, which cannot succeed for many clients (Dirichlet 0.1 over 1,000 clients). Here such a
client is filled up at random from the clients that hold most.
"""

from __future__ import annotations

import numpy as np

from fedzda.base import UserError
from fedzda.platform.data.apportion import Ints
from fedzda.platform.data.partitioners.config import DirichletConfig
from fedzda.platform.data.partitioners.deal import Partition, deal, from_owner
from fedzda.platform.data.sources.raw import Array


def assign(
    config: DirichletConfig,
    labels: Ints,
    columns: dict[str, Array],
    num_clients: int,
    rng: np.random.Generator,
) -> Partition:
    """Every sample exactly once, every client at least ``min_partition_size``.

    Raises:
        UserError: ``alpha`` has another length than there are clients, or there are fewer samples
            than ``min_partition_size`` times the clients.
    """
    alpha = np.asarray(
        config.alpha if isinstance(config.alpha, list) else [config.alpha] * num_clients
    )
    if len(alpha) != num_clients:
        raise UserError(
            f"data.partition.alpha has {len(alpha)} values for {num_clients} clients: give one "
            "number for all, or one value per client."
        )
    if config.min_partition_size * num_clients > len(labels):
        raise UserError(
            f"data.partition.min_partition_size is {config.min_partition_size}, but {len(labels)} "
            f"samples are not enough for {num_clients} clients: lower it or data.clients."
        )
    counts = [_shares(size, alpha, rng) for size in np.bincount(labels)]
    owner = deal(np.stack(counts, axis=1), labels, rng)
    return from_owner(_fill_up(owner, num_clients, config.min_partition_size, rng), num_clients)


def _shares(size: int, alpha: np.typing.NDArray[np.float64], rng: np.random.Generator) -> Ints:
    """``size`` samples divided among the clients; ends of the cumulated shares are rounded down."""
    ends = np.floor(np.cumsum(rng.dirichlet(alpha)) * size).astype(np.int64)
    ends[-1] = size
    return np.diff(np.minimum(ends, size), prepend=0)


def _fill_up(owner: Ints, num_clients: int, minimum: int, rng: np.random.Generator) -> Ints:
    """Move random samples from the largest clients to those below ``minimum``.

    Donors are cut to a common level, the highest that frees enough samples.
    """
    sizes = np.bincount(owner, minlength=num_clients)
    need = np.maximum(minimum - sizes, 0)
    if not need.any():
        return owner
    low, high = minimum, int(sizes.max())
    while low + 1 < high:  # the answer lies in [low, high)
        middle = (low + high) // 2
        low, high = (
            (middle, high) if np.maximum(sizes - middle, 0).sum() >= need.sum() else (low, middle)
        )
    spare = np.maximum(sizes - low, 0)
    donors = np.flatnonzero(spare)
    spare[rng.choice(donors, int(spare.sum() - need.sum()), replace=False)] -= 1
    order = np.lexsort((rng.permutation(len(owner)), owner))
    rank = np.arange(len(owner)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    moved = order[rank < np.repeat(spare, sizes)]
    owner = owner.copy()
    owner[rng.permutation(moved)] = np.repeat(np.arange(num_clients), need)
    return owner
