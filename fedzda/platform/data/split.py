"""Each client's share, divided into train, validation and test of one label distribution.

All clients at once: groups are the runs of equal (client, label) after one sort.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fedzda.platform.data.apportion import Ints, apportion
from fedzda.platform.data.partitioners.deal import Partition, from_owner


class Splits(NamedTuple):
    """Rows of each client, by purpose."""

    train: Partition
    validation: Partition
    test: Partition


def split(
    partition: Partition,
    labels: Ints,
    test_fraction: float,
    validation_fraction: float,
    rng: np.random.Generator,
    blocks: bool = False,
) -> Splits:
    """Split every client's rows, stratified by label (largest remainder per client).

    Per client and class the parts are within one sample of their fractions. With ``blocks`` the
    last rows of each client are for testing and those before them for validation, whatever the
    labels: neighbouring frames of a video are alike, and must not lie on both sides. A client of
    two or more samples keeps at least one for training and, where ``test_fraction`` > 0, one for
    testing (unless validation needs it); a single sample is for training. Rows are in ascending
    order.
    """
    rows, sizes = partition.indices, np.diff(partition.offsets)
    owner = np.repeat(np.arange(len(sizes)), sizes)
    label = np.zeros_like(rows) if blocks else labels[rows]
    order = np.lexsort((-rows if blocks else rng.permutation(len(rows)), label, owner))
    rows, owner, label = rows[order], owner[order], label[order]
    first = np.flatnonzero(
        np.r_[True, (owner[1:] != owner[:-1]) | (label[1:] != label[:-1])][: len(rows)]
    )
    groups = np.diff(np.r_[first, len(rows)])
    num_test, num_validation = _totals(sizes, test_fraction, validation_fraction)
    test = apportion(groups, owner[first], test_fraction, num_test, groups, rng)
    validation = apportion(
        groups, owner[first], validation_fraction, num_validation, groups - test, rng
    )
    rank = np.arange(len(rows)) - np.repeat(first, groups)
    end_of_test, end_of_validation = np.repeat(test, groups), np.repeat(test + validation, groups)
    purpose = (rank >= end_of_test).astype(np.int64) + (rank >= end_of_validation)
    found = [_part(rows, owner, purpose == number, len(sizes)) for number in (2, 1, 0)]
    return Splits(*found)


def _totals(sizes: Ints, test_fraction: float, validation_fraction: float) -> tuple[Ints, Ints]:
    """Test and validation samples per client, together at most all but one."""
    least_validation = np.floor(validation_fraction * sizes + 1e-9).astype(np.int64)
    wanted = np.floor(test_fraction * sizes + 0.5).astype(np.int64)
    if test_fraction > 0:
        wanted = np.maximum(wanted, 1)
    test = np.clip(wanted, 0, np.maximum(sizes - 1 - least_validation, 0))
    wanted = np.floor(validation_fraction * sizes + 0.5).astype(np.int64)
    return test, np.clip(wanted, 0, np.maximum(sizes - 1 - test, 0))


def _part(
    rows: Ints, owner: Ints, chosen: np.typing.NDArray[np.bool_], num_clients: int
) -> Partition:
    order = np.argsort(rows[chosen], kind="stable")
    return from_owner(owner[chosen][order], num_clients, rows[chosen][order])
