"""Aligned neighbours become one frame: mean, median or medoid of those that count.

K candidates, H height, W width, C channels. Candidate 0 is the frame itself and counts everywhere.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from fedzda.vision.hypercon.arrays import Frame, Weight
from fedzda.vision.hypercon.config import Pool

_COUNTS_FROM = 0.5
"""Least weight of a candidate of median and medoid, which know no weights."""

Stack = npt.NDArray[np.float32]


def pool(stack_KHWC: Stack, weights_KHW: Weight, how: Pool) -> Frame:
    """One frame ``(H, W, C)`` of all candidates.

    Args:
        stack_KHWC: Candidates.
        weights_KHW: In [0, 1]; of each pixel, at least one is 0.5 or more.
        how: ``mean`` is weighted; ``median`` and ``medoid`` see candidates of weight 0.5 and more.
    """
    if len(stack_KHWC) == 1:
        return np.asarray(stack_KHWC[0])
    return {"mean": _mean, "median": _median, "medoid": _medoid}[how](stack_KHWC, weights_KHW)


def _mean(stack_KHWC: Stack, weights_KHW: Weight) -> Frame:
    total = np.einsum("khwc,khw->hwc", stack_KHWC, weights_KHW)
    return np.asarray(total / weights_KHW.sum(axis=0)[:, :, None], dtype=np.float32)


def _median(stack_KHWC: Stack, weights_KHW: Weight) -> Frame:
    """Mean of the two middle values where an even number counts."""
    counts = weights_KHW >= _COUNTS_FROM
    ordered = np.sort(np.where(counts[..., None], stack_KHWC, np.float32(np.inf)), axis=0)
    number = counts.sum(axis=0)[None, :, :, None]
    low = np.take_along_axis(ordered, (number - 1) // 2, axis=0)
    high = np.take_along_axis(ordered, number // 2, axis=0)
    return np.asarray((low + high)[0] / 2, dtype=np.float32)


def _medoid(stack_KHWC: Stack, weights_KHW: Weight) -> Frame:
    """The candidate with the smallest sum of distances to the others; the first of equal ones."""
    counts = weights_KHW >= _COUNTS_FROM
    cost = np.where(counts, np.float32(0), np.float32(np.inf))
    for first in range(len(stack_KHWC)):
        for second in range(first + 1, len(stack_KHWC)):
            gap = np.square(stack_KHWC[first] - stack_KHWC[second]).sum(axis=-1)
            gap = np.sqrt(gap) * (counts[first] & counts[second])
            cost[first] += gap
            cost[second] += gap
    best = cost.argmin(axis=0)[None, :, :, None]
    return np.asarray(np.take_along_axis(stack_KHWC, best, axis=0)[0])
