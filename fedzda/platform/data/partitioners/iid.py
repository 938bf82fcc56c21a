"""Equal shares of shuffled data: what flwr-datasets' ``IidPartitioner`` does after its shuffle.

Own code, because this is the default and importing flwr-datasets takes seconds.
"""

from __future__ import annotations

import numpy as np

from fedzda.platform.data.apportion import Ints
from fedzda.platform.data.partitioners.config import IidConfig
from fedzda.platform.data.partitioners.deal import Partition
from fedzda.platform.data.sources.raw import Array


def assign(
    config: IidConfig,
    labels: Ints,
    columns: dict[str, Array],
    num_clients: int,
    rng: np.random.Generator,
) -> Partition:
    """Every sample once; the first ``len(labels) % num_clients`` clients have one more."""
    share, larger = divmod(len(labels), num_clients)
    sizes = np.full(num_clients, share, dtype=np.int64)
    sizes[:larger] += 1
    return Partition(rng.permutation(len(labels)), np.r_[0, np.cumsum(sizes)])
