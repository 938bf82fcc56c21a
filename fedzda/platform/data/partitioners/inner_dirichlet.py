"""Given sizes, label mixtures from Dirichlet(alpha) inside (Acar et al. 2021, FedDyn).

flwr-datasets draws sample by sample: client at random, then class by the client's mixture, until a
class runs out, which is then struck from all mixtures. Here all clients draw at once and a class
that is asked for beyond its stock is rationed at random, so there are at most K + 1 rounds.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from fedzda.base import UserError
from fedzda.platform.data.apportion import Ints
from fedzda.platform.data.partitioners.config import InnerDirichletConfig
from fedzda.platform.data.partitioners.deal import Partition, deal, from_owner
from fedzda.platform.data.sources.raw import Array


def assign(
    config: InnerDirichletConfig,
    labels: Ints,
    columns: dict[str, Array],
    num_clients: int,
    rng: np.random.Generator,
) -> Partition:
    """Client c gets exactly ``sizes[c]`` samples; samples beyond the sum of sizes go to nobody.

    Raises:
        UserError: The sizes do not fit the data, or ``alpha`` the classes.
    """
    equal = np.full(num_clients, len(labels) // num_clients)
    equal[: len(labels) % num_clients] += 1
    sizes = equal if config.sizes is None else np.asarray(config.sizes)
    if sizes.sum() > len(labels):
        raise UserError(
            f"data.partition.sizes add up to {sizes.sum()}, but there are {len(labels)} samples: "
            "lower them."
        )
    return assign_sizes(sizes, config.alpha, labels, rng)


def assign_sizes(
    sizes: Ints, alpha: float | list[float], labels: Ints, rng: np.random.Generator
) -> Partition:
    """Client c gets exactly ``sizes[c]`` samples, its labels by its own draw from Dirichlet(alpha).

    Raises:
        UserError: ``alpha`` is a list of another length than there are classes.
    """
    stock = np.bincount(labels)
    per_class = np.asarray(alpha if isinstance(alpha, list) else [alpha] * len(stock))
    if len(per_class) != len(stock):
        raise UserError(
            f"data.partition.alpha has {len(per_class)} values for {len(stock)} classes: give one "
            "number for all, or one value per class."
        )
    counts = _draw(sizes, rng.dirichlet(per_class, size=len(sizes)), stock, rng)
    return from_owner(deal(counts, labels, rng), len(sizes))


def _draw(
    sizes: Ints, mixture_NK: npt.NDArray[np.float64], stock: Ints, rng: np.random.Generator
) -> Ints:
    """Counts (N, K) with the row sums ``sizes`` and column sums of at most ``stock``."""
    counts = np.zeros(mixture_NK.shape, dtype=np.int64)
    left = stock.copy()
    while (open_sizes := sizes - counts.sum(axis=1)).any():
        weights = np.where(left > 0, mixture_NK, 0.0)
        # A client whose classes have all run out takes what there is, in proportion to the stock.
        weights[weights.sum(axis=1) <= 0] = left
        drawn = rng.multinomial(open_sizes, weights / weights.sum(axis=1, keepdims=True))
        for label in np.flatnonzero(drawn.sum(axis=0) > left):
            drawn[:, label] = rng.multivariate_hypergeometric(
                drawn[:, label], left[label], method="marginals"
            )
        counts += drawn
        left = left - drawn.sum(axis=0)
    return counts
