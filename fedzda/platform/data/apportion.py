"""Dividing whole samples by shares: largest remainder, for one group and for very many."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]

_ROUNDING = 1e-9
"""Keeps 0.1 * 30 = 3.0000000000000004 and 0.29 * 100 = 28.999999999999996 whole numbers."""


def stratified_choice(labels: Ints, count: int, rng: np.random.Generator) -> Ints:
    """``count`` rows with the label distribution of all, each class within one sample; sorted."""
    order = np.lexsort((rng.permutation(len(labels)), labels))
    classes = np.bincount(labels)
    quota = apportion(
        classes,
        np.zeros(len(classes), dtype=np.int64),
        count / len(labels),
        np.array([count]),
        classes,
        rng,
    )
    starts = np.cumsum(classes) - classes
    rank = np.arange(len(labels)) - np.repeat(starts, classes)
    return np.sort(order[rank < np.repeat(quota, classes)])


def apportion(
    sizes: Ints,
    owner: Ints,
    fraction: float,
    totals: Ints,
    capacity: Ints,
    rng: np.random.Generator,
) -> Ints:
    """How many samples each group gives, by largest remainder within each owner.

    Every group gives its share rounded down or one more, never beyond its capacity; the owner's
    groups together give ``totals[owner]`` where the capacities allow it.

    Args:
        sizes: (G,) samples per group.
        owner: (G,) number of the owner of each group.
        fraction: Share asked of every group.
        totals: (owners,) samples asked of each owner, at least the sum of the rounded shares.
        capacity: (G,) the most each group can give.
        rng: Breaks ties.
    """
    quota = fraction * sizes
    low = np.minimum(np.floor(quota + _ROUNDING).astype(np.int64), capacity)
    missing = totals - np.bincount(owner, weights=low, minlength=len(totals)).astype(np.int64)
    is_full = low >= capacity
    remainder = np.round(quota - low, 9)
    order = np.lexsort((rng.random(len(sizes)), -remainder, is_full, owner))
    groups = np.bincount(owner, minlength=len(totals))
    starts = np.cumsum(groups) - groups
    rank = np.empty(len(sizes), dtype=np.int64)
    rank[order] = np.arange(len(sizes)) - np.repeat(starts, groups)
    taken: Ints = low + ((rank < missing[owner]) & ~is_full)
    return taken
