"""Figures of class-incremental learning, from the hits per class after every phase.

The average counts the base phase; leaving it out, which some papers do, costs 2 to 4 points.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np


def average_incremental(accuracies: Sequence[float]) -> float:
    """Mean of ``A_0 .. A_T``, accuracies on all classes seen after each phase, A_0 included."""
    return float(np.mean(accuracies))


def weighted_average(accuracies: Sequence[float], seen: Sequence[int]) -> float:
    """``sum n_i A_i / sum n_i`` with the classes seen n_i."""
    return float(np.average(accuracies, weights=seen))


def forgetting(recall_PK: np.ndarray, borders: Sequence[int]) -> float:
    """Mean over the classes of earlier phases: best recall before the last phase minus the last.

    Chaudhry et al. 2018 (arXiv 1801.10112), per class; NaN after a single phase.

    Args:
        recall_PK: Recall of every class after every phase, NaN where it was not seen yet.
        borders: Classes seen after each phase.
    """
    if len(recall_PK) < 2:
        return float("nan")
    old = slice(0, borders[len(recall_PK) - 2])
    best = np.nanmax(recall_PK[:-1, old], axis=0)
    return float(np.nanmean(best - recall_PK[-1, old]))


def describe_phases(
    hits_PK: np.ndarray, counts_K: np.ndarray, borders: Sequence[int]
) -> dict[str, Any]:
    """All figures of the phases played so far; accuracies are fractions.

    Args:
        hits_PK: Test samples of every class recognised after every phase.
        counts_K: Test samples of every class.
        borders: Classes seen after each phase.

    Returns:
        ``accuracy``, ``old`` and ``new`` (lists, one entry per phase; ``old`` is None in phase 0),
        ``average``, ``average_without_base``, ``weighted``, ``last``, ``base_forgetting`` (of the
        base classes, from the first phase to the last) and ``forgetting``.
    """
    hits_PK, counts_K = np.asarray(hits_PK, float), np.asarray(counts_K, float)
    seen = list(borders[: len(hits_PK)])

    def accuracy(phase: int, first: int, end: int) -> float:
        return float(hits_PK[phase, first:end].sum() / counts_K[first:end].sum())

    overall = [accuracy(phase, 0, end) for phase, end in enumerate(seen)]
    old = [accuracy(p, 0, seen[p - 1]) if p else None for p in range(len(seen))]
    new = [accuracy(p, seen[p - 1] if p else 0, seen[p]) for p in range(len(seen))]
    recall_PK = hits_PK / np.where(counts_K > 0, counts_K, np.nan)
    for phase, end in enumerate(seen):
        recall_PK[phase, end:] = np.nan
    several = len(seen) > 1
    base = overall[0] - accuracy(len(seen) - 1, 0, seen[0])
    return {
        "classes_seen": seen,
        "accuracy": overall,
        "old": old,
        "new": new,
        "average": average_incremental(overall),
        "average_without_base": average_incremental(overall[1:]) if several else None,
        "weighted": weighted_average(overall, seen),
        "last": overall[-1],
        "base_forgetting": base if several else None,
        "forgetting": forgetting(recall_PK, seen) if several else None,
    }


def describe_both(
    hits_PK: Sequence[Sequence[int]],
    nearest_PK: Sequence[Sequence[int]],
    counts_K: Sequence[int],
    borders: Sequence[int],
    *,
    by_means: bool,
) -> dict[str, Any]:
    """:func:`describe_phases` by the method's own rule, with the other rule's figures beside it.

    Args:
        hits_PK: Recognised by the classifier.
        nearest_PK: Recognised by the nearest mean of exemplars; empty where nobody keeps any.
        counts_K: As above.
        borders: As above.
        by_means: Whether the nearest mean is the method's own rule, as in iCaRL.

    Returns:
        With ``rule`` (``classifier`` or ``nearest-mean``), and ``accuracy``, ``average`` and
        ``last`` of the other rule with ``_nme`` or ``_classifier`` appended, if there is one.
    """
    own = describe_phases(np.asarray(hits_PK), np.asarray(counts_K), borders)
    if not nearest_PK:
        return {**own, "rule": "classifier"}
    other, rule, suffix = own, "nearest-mean", "classifier"
    own = describe_phases(np.asarray(nearest_PK), np.asarray(counts_K), borders)
    if not by_means:
        own, other, rule, suffix = other, own, "classifier", "nme"
    beside = {f"{key}_{suffix}": other[key] for key in ("accuracy", "average", "last")}
    return {**own, "rule": rule, **beside}
