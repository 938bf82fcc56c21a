"""Fairness figures of per-client values: who gets how much, and how sure we are.

Pure functions on NumPy arrays. Letters in names: N clients, R resamples.

Definitions: Li et al. 2020, *Fair resource allocation in federated learning* (arXiv 1905.10497)
for variance and worst / best shares, with two repairs: the tenth is ``max(1, ceil(0.1 n))``
clients (the published script takes ``int(0.1 n)``, which is empty below 10 clients), and a client
with value 0 is counted like any other.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fedzda.base import numpy_rng

Floats = NDArray[np.float64]

TAIL = 0.1
"""Share of clients in ``worst10`` and ``best10``."""
RESAMPLES = 2000
"""Bootstrap resamples behind an interval."""
BOOTSTRAP_LIMIT = 10_000
"""Above this many clients intervals come from the normal approximation, which then agrees with the
bootstrap to a few per cent of the interval's width and costs one pass instead of 2000."""
INTERVALS = ("mean", "worst10", "variance_pp2")
"""The figures that :func:`intervals` and :func:`paired_intervals` give intervals for."""
_CHUNK = 2_000_000
_Z95 = 1.959963984540054


def summarise(
    values: ArrayLike, weights: ArrayLike, seed: int = 0, *, higher_is_better: bool = True
) -> dict[str, Any]:
    """All fairness figures of one metric, in the keys of ``summary.json``.

    Args:
        values: ``(N,)``, one value per client as a fraction (accuracy in [0, 1]). Clients whose
            value is not finite (no test sample, diverged loss) are left out and counted.
        weights: ``(N,)``, test samples per client, at least 0; only for ``weighted_mean``.
        seed: Seed of the bootstrap.
        higher_is_better: Whether the worst clients are those with the lowest values.

    Returns:
        :func:`describe` and the 95 % intervals over clients ``mean_ci95`` and ``worst10_ci95``,
        each ``[low, high]``, or None without clients.

    Raises:
        ValueError: Shapes differ, or a weight is negative or not finite.
    """
    found = describe(values, weights, higher_is_better=higher_is_better)
    spread = intervals(values, seed, higher_is_better=higher_is_better)
    return found | {"mean_ci95": spread["mean"], "worst10_ci95": spread["worst10"]}


def describe(
    values: ArrayLike, weights: ArrayLike, *, higher_is_better: bool = True
) -> dict[str, Any]:
    """:func:`summarise` without intervals: one sort, for use in every round.

    ``std`` and all values are in the unit of ``values``; only ``variance_pp2`` is in squared
    percentage points (``1e4 * var``). Figures that are undefined are None.
    """
    given = np.asarray(values, dtype=np.float64)
    mass = np.asarray(weights, dtype=np.float64)
    if given.ndim != 1 or mass.shape != given.shape:
        raise ValueError(f"values {given.shape} and weights {mass.shape} must be equal (N,)")
    if not np.isfinite(mass).all() or (mass < 0).any():
        raise ValueError("weights must be finite and at least 0")
    kept = np.isfinite(given)
    found: dict[str, Any] = {"n": int(kept.sum()), "excluded": int((~kept).sum())}
    if not found["n"]:
        return found | dict.fromkeys(_KEYS)
    a, mass = given[kept], mass[kept]
    ranked = np.sort(a) if higher_is_better else np.sort(a)[::-1]
    k = tail_size(a.size)
    return found | {
        "mean": float(a.mean()),
        "weighted_mean": float(mass @ a / mass.sum()) if mass.sum() > 0 else None,
        "variance_pp2": float(1e4 * a.var()),
        "std": float(a.std()),
        "worst10": float(ranked[:k].mean()),
        "best10": float(ranked[-k:].mean()),
        "min": float(a.min()),
        "max": float(a.max()),
        "gini": gini(a),
        "jain": jain(a),
        **entropy(a),
    }


_KEYS = (
    *("mean", "weighted_mean", "variance_pp2", "std", "worst10", "best10", "min", "max"),
    *("gini", "jain", "entropy", "entropy_normalised"),
)


def tail_size(n: int) -> int:
    """Number of clients in the worst (and best) tenth: ``max(1, ceil(0.1 n))``."""
    return max(1, -(-n // 10))


def _shares(values: Floats) -> bool:
    """Whether values can be read as shares of a whole: none negative, not all 0."""
    return bool(values.size and values.min() >= 0 and values.max() > 0)


def gini(values: ArrayLike) -> float | None:
    """Gini index ``sum_ij |a_i - a_j| / (2 n² mean)``: 0 if equal, ``1 - 1/n`` if one has all.

    None if the values are all 0, or one is negative.
    """
    a = np.sort(np.asarray(values, dtype=np.float64))
    if not _shares(a):
        return None
    # With a sorted, the pairwise sum is 2 * sum_i (2i - n - 1) a_i, i = 1..n: n log n, not n².
    rank = 2 * np.arange(1, a.size + 1) - a.size - 1
    return max(0.0, float(rank @ a / (a.size * a.sum())))


def jain(values: ArrayLike) -> float | None:
    """Jain's index ``(sum a)² / (n sum a²)``, in [1/n, 1]; None as for :func:`gini`."""
    a = np.asarray(values, dtype=np.float64)
    if not _shares(a):
        return None
    a = a / a.max()  # keeps the squares of tiny values from vanishing
    return min(1.0, float(a.sum() ** 2 / (a.size * (a @ a))))


def entropy(values: ArrayLike) -> dict[str, float | None]:
    """Entropy (natural logarithm) of ``a / sum a``, and divided by ``log n``.

    None as for :func:`gini`; the normalised value of a single client is 1.
    """
    a = np.asarray(values, dtype=np.float64)
    if not _shares(a):
        return {"entropy": None, "entropy_normalised": None}
    p = a / a.sum()
    positive = p[p > 0]
    total = max(0.0, float(-(positive @ np.log(positive))))
    normalised = total / float(np.log(a.size)) if a.size > 1 else 1.0
    return {"entropy": total, "entropy_normalised": normalised}


# ---------------------------------------------------------------------------------------------
# Intervals


def intervals(
    values: ArrayLike, seed: int = 0, *, higher_is_better: bool = True
) -> dict[str, list[float] | None]:
    """95 % intervals over clients of :data:`INTERVALS`, each ``[low, high]``; None without clients.

    Up to :data:`BOOTSTRAP_LIMIT` clients: percentile bootstrap, seeded. Above: figure ± 1.96
    standard errors, the errors from each figure's influence function (for the worst tenth that of
    an expected shortfall, ``q - max(q - a, 0) / 0.1`` with ``q`` the first decile).
    """
    a = np.asarray(values, dtype=np.float64)
    a = a[np.isfinite(a)] * (1 if higher_is_better else -1)
    if not a.size:
        return dict.fromkeys(INTERVALS)
    if a.size <= BOOTSTRAP_LIMIT:
        drawn = np.concatenate([_figures(a[index]) for index in _resamples(a.size, seed)])
        low, high = np.quantile(drawn, [0.025, 0.975], axis=0)
    else:
        error = _Z95 * _influence(a).std(axis=1) / np.sqrt(a.size)
        centre = _figures(a[None])[0]
        low, high = centre - error, centre + error
    return _named(low, high, higher_is_better)


def paired_intervals(
    first: ArrayLike, second: ArrayLike, seed: int = 0, *, higher_is_better: bool = True
) -> dict[str, list[float] | None]:
    """95 % intervals of the differences ``second - first`` of :data:`INTERVALS`.

    Both arrays are ``(N,)`` and hold the same clients in the same order: clients are drawn
    jointly, so what both runs share (a hard client) cancels. Method as in :func:`intervals`.
    """
    sign = 1 if higher_is_better else -1
    a, b = (np.asarray(x, dtype=np.float64) * sign for x in (first, second))
    if a.ndim != 1 or a.shape != b.shape:
        raise ValueError(f"first {a.shape} and second {b.shape} must be equal (N,)")
    kept = np.isfinite(a) & np.isfinite(b)
    a, b = a[kept], b[kept]
    if not a.size:
        return dict.fromkeys(INTERVALS)
    if a.size <= BOOTSTRAP_LIMIT:
        pairs = ((_figures(b[i]) - _figures(a[i])) for i in _resamples(a.size, seed))
        low, high = np.quantile(np.concatenate(list(pairs)), [0.025, 0.975], axis=0)
    else:
        error = _Z95 * (_influence(b) - _influence(a)).std(axis=1) / np.sqrt(a.size)
        centre = (_figures(b[None]) - _figures(a[None]))[0]
        low, high = centre - error, centre + error
    return _named(low, high, higher_is_better)


def _named(low: Floats, high: Floats, higher_is_better: bool) -> dict[str, list[float] | None]:
    pairs = {name: [float(low[i]), float(high[i])] for i, name in enumerate(INTERVALS)}
    if not higher_is_better:  # values were negated: mean and tail turn round, the variance does not
        for name in ("mean", "worst10"):
            pairs[name] = [-pairs[name][1], -pairs[name][0]]
    return {**pairs}


def _resamples(n: int, seed: int) -> Iterator[NDArray[np.int64]]:
    """Client indices ``(R, N)`` of :data:`RESAMPLES` resamples, in pieces of bounded memory."""
    rng = numpy_rng(seed, "fairness-bootstrap")
    rows = max(1, _CHUNK // n)
    for start in range(0, RESAMPLES, rows):
        yield rng.integers(0, n, size=(min(rows, RESAMPLES - start), n))


def _figures(a_RN: Floats) -> Floats:
    """Mean, worst tenth and variance (pp²) of each row, ``(R, 3)``."""
    k = tail_size(a_RN.shape[1])
    worst = np.partition(a_RN, k - 1, axis=1)[:, :k].mean(axis=1)
    return np.stack([a_RN.mean(axis=1), worst, 1e4 * a_RN.var(axis=1)], axis=1)


def _influence(a: Floats) -> Floats:
    """Per-client contributions ``(3, N)`` whose spread gives the standard error of each figure."""
    decile = np.quantile(a, TAIL)
    tail = decile - np.maximum(decile - a, 0) / TAIL
    return np.stack([a, tail, 1e4 * (a - a.mean()) ** 2])
