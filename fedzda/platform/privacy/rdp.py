"""Rényi differential privacy of the (subsampled) Gaussian mechanism, and its conversion to epsilon.

Mironov 2017 (arXiv 1702.07476) for the mechanism itself; Mironov, Talwar, Zhang 2019
(arXiv 1908.10530) for Poisson sampling; Wang, Balle, Kasiviswanathan 2019 (arXiv 1808.00087,
theorem 9) for samples of a fixed size; Balle et al. 2020 (arXiv 1905.09982, theorem 21) for the
conversion. Letters: z is the noise's standard deviation divided by the sensitivity, q the sampling
rate, alpha the order. All figures are natural logarithms.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

ORDERS: tuple[float, ...] = (
    *(1 + step / 10 for step in range(1, 100)),
    *range(11, 65),
    *(72, 80, 96, 112, 128, 160, 192, 256, 384, 512, 768, 1024),
)
"""Orders tried; large noise needs large ones, small noise those close to 1."""
_NEXT_TO_NO_NOISE = 0.01
"""Noise below which epsilon is in the ten thousands, and sampling changes it by a few percent."""


def gaussian(z: float, alpha: float) -> float:
    """RDP of one release at order ``alpha`` without subsampling (Mironov 2017, corollary 3)."""
    return alpha / (2 * z * z)


def poisson(z: float, q: float, alpha: float) -> float:
    """RDP of one release where every client takes part with probability ``q``, independently.

    Neighbours differ by one client that is there or not. The integral of the likelihood ratio's
    power is a sum over an even grid: its integrand is analytic and falls like a Gaussian, so the
    sum's error is far below rounding, at fractional orders as well. With next to no noise the
    figure is the bound without sampling, which is then nearly the same: the grid would be endless.
    """
    if q == 1 or z < _NEXT_TO_NO_NOISE:
        return gaussian(z, alpha)
    x = np.arange(-20 * z, alpha + 20 * z, z / 20)
    ratio = np.logaddexp(math.log1p(-q), math.log(q) + (2 * x - 1) / (2 * z * z))
    density = -(x * x) / (2 * z * z) - math.log(z * math.sqrt(2 * math.pi))
    total = np.logaddexp.reduce(density + alpha * ratio) + math.log(z / 20)
    return max(0.0, float(total) / (alpha - 1))


def without_replacement(z: float, q: float, alpha: float) -> float:
    """RDP of one release on a sample of fixed size, a fraction ``q`` of all clients.

    Neighbours differ in the data of one client, so ``z`` refers to the largest distance of two
    clients' updates. Sampling never harms, so the figure without it is a bound as well, and the
    only one used at fractional orders.
    """
    plain = gaussian(z, alpha)
    if alpha != int(alpha):
        return plain
    rdp_2 = gaussian(z, 2)
    grown = math.log(4) + _log_expm1(rdp_2)
    terms = [0.0, _log_choose(alpha, 2) + 2 * math.log(q) + min(grown, rdp_2 + math.log(2))]
    for j in range(3, int(alpha) + 1):
        power = (j - 1) * gaussian(z, j) + math.log(2)
        terms.append(_log_choose(alpha, j) + j * math.log(q) + power)
    return min(plain, float(np.logaddexp.reduce(terms)) / (alpha - 1))


def epsilon(rdp: Callable[[float], float], releases: int, delta: float) -> float:
    """The smallest epsilon over :data:`ORDERS` of ``releases`` releases at ``delta``.

    Args:
        rdp: Figure of one release at an order.
        releases: How many are composed; they add up.
        delta: In (0, 1).
    """
    if releases == 0:
        return 0.0
    found = [_converted(alpha, releases * rdp(alpha), delta) for alpha in ORDERS]
    return max(0.0, min(found))


def _converted(alpha: float, rdp: float, delta: float) -> float:
    return rdp + math.log1p(-1 / alpha) - math.log(delta * alpha) / (alpha - 1)


def _log_choose(n: float, k: int) -> float:
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def _log_expm1(x: float) -> float:
    """``log(exp(x) - 1)`` for positive ``x``, without overflow."""
    return x + math.log(-math.expm1(-x))
