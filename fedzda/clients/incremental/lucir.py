"""The losses of LUCIR (Hou et al., "Learning a Unified Classifier Incrementally via Rebalancing",
CVPR 2019), in the form of the authors' code (hshustc/CVPR19_Incremental_Learning)."""

from __future__ import annotations

import math

import torch
from torch.nn import functional


def less_forget_weight(base: float, num_old: int, num_new: int) -> float:
    """``base * sqrt(n_old / n_new)``, the weight of the less-forget term in a phase."""
    return base * math.sqrt(num_old / num_new)


def less_forget(new_ND: torch.Tensor, old_ND: torch.Tensor) -> torch.Tensor:
    """``1 - cos(f_new(x), f_old(x))``, mean over samples (equation 6)."""
    return (1.0 - functional.cosine_similarity(new_ND, old_ND.detach(), dim=1)).mean()


def margin_ranking(
    cosines_NS: torch.Tensor, labels_N: torch.Tensor, num_old: int, k: int = 2, margin: float = 0.5
) -> torch.Tensor:
    """Keep old classes apart from the new classes that come closest (equation 8).

    ``max(0, s_new - s_true + margin)``, mean over the samples of old classes and their ``k``
    highest new-class cosines; 0 if the batch has no such sample.

    Args:
        cosines_NS: Unscaled cosines of all seen classes.
        labels_N: Positions.
        num_old: Old classes, positions ``0 .. num_old - 1``.
        k: New classes per sample.
        margin: The margin.
    """
    old = labels_N < num_old
    if not bool(old.any()) or cosines_NS.shape[1] == num_old:
        return cosines_NS.sum() * 0.0
    own_M1 = cosines_NS[old].gather(1, labels_N[old, None])
    new_MS = cosines_NS[old, num_old:]
    nearest_MK = new_MS.topk(min(k, new_MS.shape[1]), dim=1).values
    return (nearest_MK - own_M1 + margin).clamp(min=0).mean()
