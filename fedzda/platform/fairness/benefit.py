"""What clients gain over training alone, and what they pay for it.

A client that trains and transmits much and gains little, or loses, subsidises the others: the
question of collaborative fairness (Lyu et al. 2020, *Collaborative fairness in federated learning*;
Donahue and Kleinberg 2021, *Model-sharing games*: a client joins if it is better off than alone).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fedzda.platform.fairness.clients import gini, tail_size

Floats = NDArray[np.float64]


def gain(
    values: ArrayLike, local_values: ArrayLike, *, higher_is_better: bool = True
) -> dict[str, Any]:
    """What clients gain over training alone.

    Args:
        values: ``(N,)``, a client's value with the federated model.
        local_values: ``(N,)``, the same clients' values with a model trained on their own data.
        higher_is_better: Whether more is a gain; of a loss or an error less is.

    Returns:
        ``n`` (clients with both values), ``excluded``, ``mean_gain`` (difference, same unit, above
        0: better off) and ``share_worse_off`` (fraction of clients that lose); the last two are
        None if ``n`` is 0.
    """
    federated = np.asarray(values, dtype=np.float64)
    local = np.asarray(local_values, dtype=np.float64)
    if federated.ndim != 1 or local.shape != federated.shape:
        raise ValueError(f"values {federated.shape} and local {local.shape} must be equal (N,)")
    kept = np.isfinite(federated) & np.isfinite(local)
    difference = (federated[kept] - local[kept]) * (1 if higher_is_better else -1)
    n = int(kept.sum())
    return {
        "n": n,
        "excluded": int((~kept).sum()),
        "mean_gain": float(difference.mean()) if n else None,
        "share_worse_off": float((difference < 0).mean()) if n else None,
    }


def benefit(
    values: ArrayLike,
    local_values: ArrayLike,
    seconds: ArrayLike,
    num_bytes: ArrayLike,
    *,
    higher_is_better: bool = True,
) -> dict[str, Any]:
    """Gain over training alone against what a client spent, for all clients with both values.

    Args:
        values: ``(N,)``, a client's value with the federated model, as a fraction.
        local_values: ``(N,)``, the same clients' values with models trained alone.
        seconds: ``(N,)``, time that each client trained, over all rounds.
        num_bytes: ``(N,)``, what it sent and received for training, over all rounds.
        higher_is_better: As in :func:`gain`.

    Returns:
        :func:`gain`, and for ``seconds`` and ``bytes`` a mapping of

        ``mean`` and ``gini``
            of the cost over the clients (0: all pay the same);
        ``gain_per_unit``
            the sum of the gains over the sum of the costs, in fractions per second or byte;
        ``worst10_per_unit``
            mean of ``gain / cost`` over the worst tenth of the clients that paid something;
        ``paid_by_losers``
            share of the whole cost that clients paid who are worse off than alone.

        Figures without clients or without cost are None.

    Raises:
        ValueError: Shapes differ, or a cost is negative or not finite.
    """
    found = gain(values, local_values, higher_is_better=higher_is_better)
    federated, local = (np.asarray(x, dtype=np.float64) for x in (values, local_values))
    kept = np.isfinite(federated) & np.isfinite(local)
    difference = (federated - local)[kept] * (1 if higher_is_better else -1)
    for name, given in (("seconds", seconds), ("bytes", num_bytes)):
        cost = np.asarray(given, dtype=np.float64)
        if cost.shape != federated.shape:
            raise ValueError(f"{name} {cost.shape} and values {federated.shape} must be equal (N,)")
        if not np.isfinite(cost).all() or (cost < 0).any():
            raise ValueError(f"{name} must be finite and at least 0")
        found[name] = _against(difference, cost[kept])
    return found


def _against(difference: Floats, cost: Floats) -> dict[str, Any]:
    paid = cost > 0
    if not paid.any():
        keys = ("mean", "gini", "gain_per_unit", "worst10_per_unit", "paid_by_losers")
        return dict.fromkeys(keys)
    each = np.sort(difference[paid] / cost[paid])
    return {
        "mean": float(cost.mean()),
        "gini": gini(cost),
        "gain_per_unit": float(difference.sum() / cost.sum()),
        "worst10_per_unit": float(each[: tail_size(each.size)].mean()),
        "paid_by_losers": float(cost[difference < 0].sum() / cost.sum()),
    }
