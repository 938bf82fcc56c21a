"""Weighted sums of model arrays, the one primitive that mean-type strategies need.

Sums are kept in float64, so that averaging identical models returns them, and so that the order
of chunks is the only thing that decides the last bit.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

_MEAN, _VAR = "running_mean", "running_var"


class WeightedSum:
    """Running ``sum(weight * array)`` per name; all models added have the same names.

    Args:
        pooled: Aggregate BatchNorm variances as the variance of the pooled data,
            ``E[v + m^2] - E[m]^2``, instead of the mean of the variances. Pairs are found by
            name: ``X.running_mean`` beside ``X.running_var``.
    """

    def __init__(self, *, pooled: bool = False) -> None:
        self.pooled = pooled
        self.weight = 0.0
        self.sums: dict[str, torch.Tensor] = {}
        self.dtypes: dict[str, torch.dtype] = {}
        self.missing: dict[str, torch.Tensor] = {}
        """Weight of the clients that have not trained an entry, where there are such clients."""
        self._own = True

    def add(
        self,
        arrays: Mapping[str, torch.Tensor],
        weight: float,
        coverage: Mapping[str, torch.Tensor] | None = None,
    ) -> None:
        """Add one client's arrays. ``weight`` is usually its number of training samples.

        ``coverage`` is bool, for arrays of which only the entries called True count.
        """
        self.weight += weight
        for name, value in arrays.items():
            total = self.sums.get(name)
            if total is None:
                total = self.sums[name] = torch.zeros(value.shape, dtype=torch.float64)
                self.dtypes[name] = value.dtype
            if self.pooled and (mean := _partner(arrays, name)) is not None:
                value = value.double() + mean.double().square()
            covered = None if coverage is None else coverage.get(name)
            if covered is not None:
                value = torch.where(covered, value.double(), 0.0)
                self._miss(name, (~covered).double() * weight)
            total.add_(value.to(total.device), alpha=weight)

    def _miss(self, name: str, weights: torch.Tensor) -> None:
        before = self.missing.get(name)
        self.missing[name] = weights if before is None else before + weights

    def merge(self, other: WeightedSum) -> None:
        """Add another sum, for example that of the next clients; ``other`` is used up."""
        self.weight += other.weight
        if not self.sums:
            self.sums, self.dtypes, self._own = other.sums, other.dtypes, other._own
            self.missing = other.missing
            return
        for name, value in other.sums.items():
            if self._own:
                self.sums[name].add_(value)
            else:
                self.sums[name] = self.sums[name] + value
        for name, weights in other.missing.items():
            self._miss(name, weights)
        self._own = self._own or bool(other.sums)

    def mean(self, before: Mapping[str, Any] | None = None) -> dict[str, torch.Tensor]:
        """The weighted mean in the arrays' own types; integers are rounded.

        Every entry is the mean of the clients that cover it.

        Args:
            before: Arrays whose entries stay where no client covers them; needed only where that
                may be.

        Raises:
            ZeroDivisionError: if nothing with a positive weight was added.
        """
        if self.weight <= 0:
            raise ZeroDivisionError("the total weight of the clients is zero")
        weights = {name: self.weight - missing for name, missing in self.missing.items()}
        means = {name: total / weights.get(name, self.weight) for name, total in self.sums.items()}
        if self.pooled:
            for name in means:
                if (mean := _partner(means, name)) is not None:
                    means[name] = (means[name] - mean.square()).clamp_min_(0.0)
        for name, weight in weights.items():
            assert before is not None, "partial coverage needs the arrays of before"
            old = torch.as_tensor(np.asarray(before[name])).double()
            means[name] = torch.where(weight > 0, means[name], old)
        return {name: _cast(value, self.dtypes[name]) for name, value in means.items()}

    def __getstate__(self) -> dict[str, Any]:
        """Sums travel as NumPy arrays, which pickle without a copy; tensors take three."""
        plain = {"sums": self.sums, "missing": self.missing}
        return {
            **vars(self),
            **{key: {n: value.numpy() for n, value in own.items()} for key, own in plain.items()},
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        """What arrives may lie in read-only shared memory, so nothing is added to it in place."""
        sums = {name: as_tensor(total) for name, total in state["sums"].items()}
        missing = {name: as_tensor(weights) for name, weights in state["missing"].items()}
        vars(self).update(state, sums=sums, missing=missing, _own=not sums)


class ChunkSums:
    """The sum over a cohort, from sums of its parts that come in any order.

    Parts are the leaves of a binary tree, or whole subtrees; the shape of the tree depends on the
    number of leaves alone, so the last bit does too. Two siblings become one as soon as both are
    there: a few sums wait where parts come nearly in order, at worst half of them.
    """

    def __init__(self) -> None:
        self._waiting: dict[tuple[int, int], WeightedSum] = {}

    def add(self, leaf: int, total: WeightedSum, leaves: int = 1) -> None:
        """Take the sum of ``leaves`` leaves (a power of two) from number ``leaf`` on.

        It is kept, and added to in place.
        """
        level = leaves.bit_length() - 1
        node = leaf >> level
        while (sibling := self._waiting.pop((level, node ^ 1), None)) is not None:
            total = _sum(sibling, total) if node % 2 else _sum(total, sibling)
            level, node = level + 1, node >> 1
        self._waiting[level, node] = total

    def total(self) -> WeightedSum | None:
        """The sum, which may weigh nothing; None if no part was added.

        A part that is missing, because nobody is in it, counts as zero.
        """
        while len(self._waiting) > 1:
            level, node = min(self._waiting)
            alone = self._waiting.pop((level, node))
            self.add(node >> 1 << (level + 1), alone, 2 << level)
        return next(iter(self._waiting.values()), None)


def _sum(first: WeightedSum, second: WeightedSum) -> WeightedSum:
    first.merge(second)
    return first


def as_tensor(array: np.ndarray) -> torch.Tensor:
    """The array as a tensor, without a copy and without torch's warning if it is read-only."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return torch.from_numpy(array)


def _partner(arrays: Mapping[str, torch.Tensor], name: str) -> torch.Tensor | None:
    if not name.endswith(_VAR):
        return None
    return arrays.get(name[: -len(_VAR)] + _MEAN)


def _cast(value: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    return value.round().to(dtype) if not dtype.is_floating_point else value.to(dtype)
