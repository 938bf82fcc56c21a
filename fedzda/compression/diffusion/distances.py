"""Distances between sets of feature vectors that the zero-shot generators do not need.

Kernel distance: Binkowski et al. 2018 (arXiv 1801.01401), section 4, cubic kernel, unbiased.
Density: Naeem et al. 2020 (arXiv 2002.09797), section 3.
"""

from __future__ import annotations

import torch


def kernel_mmd(first_ND: torch.Tensor, second_MD: torch.Tensor) -> float:
    """Squared maximum mean discrepancy with the kernel ``(x y / D + 1)^3``; 0 on average for two
    samples of one distribution, so it may be negative."""
    x, y = first_ND.double(), second_MD.double()
    n, m, dim = len(x), len(y), x.shape[1]

    def kernel(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return (a @ b.T / dim + 1) ** 3

    xx, yy = kernel(x, x), kernel(y, y)
    same = (xx.sum() - xx.trace()) / (n * (n - 1)) + (yy.sum() - yy.trace()) / (m * (m - 1))
    return float(same - 2 * kernel(x, y).mean())


def density(real_ND: torch.Tensor, made_MD: torch.Tensor, neighbours: int = 5) -> float:
    """Real neighbourhoods that a made vector lies in, on average, over ``neighbours``.

    A neighbourhood reaches as far as the ``neighbours``-th nearest other real vector. About 1 for
    another sample of the real distribution; more if made vectors crowd in dense places.
    """
    if len(real_ND) < 2:
        return float("nan")
    real, made = real_ND.double(), made_MD.double()
    among_real = torch.cdist(real, real)
    among_real.fill_diagonal_(float("inf"))
    neighbours = min(neighbours, len(real) - 1)
    radius = among_real.kthvalue(neighbours, dim=1).values
    inside = torch.cdist(real, made) <= radius[:, None]
    return float(inside.double().sum() / (neighbours * len(made)))
