"""Samples that belong together, such as shots of one scene, on one side of every split."""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from fedzda.base import UserError
from fedzda.platform.data.apportion import Ints
from fedzda.platform.data.partitioners.deal import Partition, from_owner
from fedzda.platform.data.sources.raw import Array
from fedzda.platform.data.split import Splits
from fedzda.platform.data.wanted import absent

_ROUNDING = 1e-9
"""Keeps 0.1 * 30 = 3.0000000000000004 from asking for a fourth row."""


def group_numbers(columns: Mapping[str, Array], group: str, without: str | None) -> Ints:
    """``(N,)`` number of the group of each row.

    Args:
        columns: Columns of the pool.
        group: The one that names groups.
        without: Regular expression; what it matches is cut out of the names first.

    Raises:
        UserError: No such column, or no such expression.
    """
    if group not in columns:
        raise UserError(absent("data.group", group, columns, "the data set"))
    names = np.asarray(columns[group]).astype(np.str_)
    if without is not None:
        try:
            cut = re.compile(without)
        except re.error as error:
            raise UserError(
                f"data.group_without is '{without}', which is no regular expression ({error}). "
                "Correct it, for example to '_[0-9]+$'."
            ) from error
        names = np.array([cut.sub("", str(name)) for name in names], dtype=np.str_)
    return np.asarray(np.unique(names, return_inverse=True)[1], dtype=np.int64)


def grouped_choice(
    groups: Ints, fraction: float, rng: np.random.Generator
) -> npt.NDArray[np.bool_]:
    """``(N,)`` whether a row is held out: whole groups in random order until there are enough rows.

    A single group is not held out.
    """
    sizes = np.bincount(groups)
    wanted, taken = fraction * len(groups), np.zeros(len(sizes), dtype=bool)
    for group in rng.permutation(len(sizes))[:-1]:
        if sizes[taken].sum() >= wanted:
            break
        taken[group] = True
    return np.asarray(taken[groups])


def split_by_group(
    partition: Partition,
    groups: Ints,
    test_fraction: float,
    validation_fraction: float,
    rng: np.random.Generator,
) -> Splits:
    """Split every client's rows by whole groups.

    A group that several clients share is on the same side for all of them. Groups are taken in
    random order until every client has at least its fraction of rows, as far as that leaves each of
    them one group to train on: a client of a single group only trains.

    Args:
        partition: Who holds what.
        groups: ``(N,)`` group of every row of the pool.
        test_fraction: Share of each client's rows for its test, at least.
        validation_fraction: The same for selection.
        rng: Orders the groups.
    """
    sizes = np.diff(partition.offsets)
    owner = np.repeat(np.arange(len(sizes)), sizes)
    own_groups = np.unique(groups[partition.indices], return_inverse=True)[1]
    holders = _holders(own_groups, owner)
    side = np.zeros(len(holders), dtype=np.int64)
    for number, fraction in ((2, test_fraction), (1, validation_fraction)):
        _take(holders, side, number, fraction * sizes, rng)
    purpose = side[own_groups]
    return Splits(*(_part(partition, owner, purpose == number) for number in (0, 1, 2)))


def _holders(groups: Ints, owner: Ints) -> list[tuple[Ints, Ints]]:
    """Clients that hold rows of each group, and how many."""
    pairs, rows = np.unique(np.stack([groups, owner]), axis=1, return_counts=True)
    borders = np.searchsorted(pairs[0], np.arange(1, int(groups.max(initial=-1)) + 1))
    parts = zip(np.split(pairs[1], borders), np.split(rows, borders), strict=True)
    return list(parts)


def _take(
    holders: list[tuple[Ints, Ints]],
    side: Ints,
    number: int,
    wanted: npt.NDArray[np.float64],
    rng: np.random.Generator,
) -> None:
    """Give groups of side 0 the side ``number``, in place."""
    left = np.zeros(len(wanted), dtype=np.int64)
    for group in np.flatnonzero(side == 0):
        left[holders[group][0]] += 1
    given = np.zeros(len(wanted), dtype=np.int64)
    for group in rng.permutation(np.flatnonzero(side == 0)):
        clients, rows = holders[group]
        if (given[clients] < wanted[clients] - _ROUNDING).any() and (left[clients] > 1).all():
            side[group] = number
            given[clients] += rows
            left[clients] -= 1


def _part(partition: Partition, owner: Ints, chosen: npt.NDArray[np.bool_]) -> Partition:
    rows, holder = partition.indices[chosen], owner[chosen]
    order = np.argsort(rows, kind="stable")
    return from_owner(holder[order], len(partition.offsets) - 1, rows[order])
