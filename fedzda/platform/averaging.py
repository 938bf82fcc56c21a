"""Weighted sums of model arrays, the one primitive that mean-type strategies need.

Sums are kept in float64, so that averaging identical models returns them, and so that the order
of chunks is the only thing that decides the last bit.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch

_MEAN, _VAR = "running_mean", "running_var"


class WeightedSum:
    """Running ``sum(weight * array)`` per name.

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

    def add(self, arrays: Mapping[str, torch.Tensor], weight: float) -> None:
        """Add one client's arrays. ``weight`` is usually its number of training samples."""
        self.weight += weight
        for name, value in arrays.items():
            total = self.sums.get(name)
            if total is None:
                total = self.sums[name] = torch.zeros(value.shape, dtype=torch.float64)
                self.dtypes[name] = value.dtype
            if self.pooled and (mean := _partner(arrays, name)) is not None:
                value = value.double() + mean.double().square()
            total.add_(value.to(total.device), alpha=weight)

    def merge(self, other: WeightedSum) -> None:
        """Add another sum, for example that of the next chunk."""
        self.weight += other.weight
        for name, value in other.sums.items():
            if name in self.sums:
                self.sums[name].add_(value)
            else:
                self.sums[name] = value.clone()
                self.dtypes[name] = other.dtypes[name]

    def mean(self) -> dict[str, torch.Tensor]:
        """The weighted mean in the arrays' own types; integers are rounded.

        Raises:
            ZeroDivisionError: if nothing with a positive weight was added.
        """
        if self.weight <= 0:
            raise ZeroDivisionError("the total weight of the clients is zero")
        means = {name: total / self.weight for name, total in self.sums.items()}
        if self.pooled:
            for name in means:
                if (mean := _partner(means, name)) is not None:
                    means[name] = (means[name] - mean.square()).clamp_min_(0.0)
        return {name: _cast(value, self.dtypes[name]) for name, value in means.items()}

    def state(self) -> dict[str, np.ndarray]:
        """The sums as arrays, to travel between processes."""
        return {name: total.numpy() for name, total in self.sums.items()}


def _partner(arrays: Mapping[str, torch.Tensor], name: str) -> torch.Tensor | None:
    if not name.endswith(_VAR):
        return None
    return arrays.get(name[: -len(_VAR)] + _MEAN)


def _cast(value: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    return value.round().to(dtype) if not dtype.is_floating_point else value.to(dtype)
