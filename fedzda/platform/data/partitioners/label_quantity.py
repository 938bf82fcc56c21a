"""Label and quantity skew at once: sizes from a Dirichlet draw, labels from one of their own.

The two skews of Li et al. 2022 (*Federated learning on non-IID data silos*, ICDE, section IV),
which are usually studied apart; in practice small clients are one-sided too.
Deviation: every client first gets ``min_partition_size`` samples, the draw divides the rest.
"""

from __future__ import annotations

import numpy as np

from fedzda.base import UserError
from fedzda.platform.data.apportion import Ints
from fedzda.platform.data.partitioners.config import LabelQuantityConfig
from fedzda.platform.data.partitioners.deal import Partition
from fedzda.platform.data.partitioners.inner_dirichlet import assign_sizes
from fedzda.platform.data.sources.raw import Array


def assign(
    config: LabelQuantityConfig,
    labels: Ints,
    columns: dict[str, Array],
    num_clients: int,
    rng: np.random.Generator,
) -> Partition:
    """Every sample exactly once, every client at least ``min_partition_size``.

    Raises:
        UserError: Fewer samples than ``min_partition_size`` times the clients, or an ``alpha`` of
            another length than there are classes.
    """
    rest = len(labels) - config.min_partition_size * num_clients
    if rest < 0:
        raise UserError(
            f"data.partition.min_partition_size is {config.min_partition_size}, but {len(labels)} "
            f"samples are not enough for {num_clients} clients: lower it or data.clients."
        )
    share = rng.dirichlet(np.full(num_clients, config.size_alpha))
    ends = np.floor(np.cumsum(share) * rest + 0.5).astype(np.int64)
    ends[-1] = rest
    sizes = config.min_partition_size + np.diff(np.minimum(ends, rest), prepend=0)
    return assign_sizes(sizes, config.alpha, labels, rng)
