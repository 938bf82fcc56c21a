"""Which samples of a class to keep: herding (Welling 2009, in iCaRL's form, CVPR 2017)."""

from __future__ import annotations

import torch
from torch.nn import functional


def herd(features_ND: torch.Tensor, count: int) -> list[int]:
    """Rows whose running mean follows the class mean, the best one first.

    On unit features with mean mu: start from ``w = mu``, pick the row with the largest product
    with ``w``, add ``mu`` to ``w`` and take the picked feature away. A row that was picked before
    is skipped but still moves ``w``, as public code does (hshustc/CVPR19_Incremental_Learning).

    Args:
        features_ND: Features of the samples of one class.
        count: How many to pick; all rows if there are fewer. Where the picks go round in a circle,
            the rows left over are taken in their order.
    """
    unit_ND = functional.normalize(features_ND.double(), dim=1)
    mean_D = unit_ND.mean(dim=0)
    count = min(count, len(unit_ND))
    w_D = mean_D.clone()
    picked: list[int] = []
    for _ in range(10 * max(count, 100)):
        if len(picked) >= count:
            break
        row = int((unit_ND @ w_D).argmax())
        if row not in picked:
            picked.append(row)
        w_D += mean_D - unit_ND[row]
    rest = [row for row in range(len(unit_ND)) if row not in picked]
    return (picked + rest)[:count]
