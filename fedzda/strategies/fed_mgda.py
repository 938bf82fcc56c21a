"""FedMGDA+ (Hu, Shaloudegi, Zhang, Yu, 2020, arXiv 2006.11489).

Every client's loss is an objective of its own. The server takes the shortest vector among the
mixtures of the clients' (normalised) updates ``u_k``, which lowers all losses at once:

    lambda = argmin || sum lambda_k u_k ||^2   on the simplex, |lambda_k - c_k| <= epsilon
    w     <- w - server_lr * sum lambda_k u_k

``c_k`` is 1/m or the client's share of the samples, as ``weighting`` says. Norms and directions are
over trained weights only. Limit cases: ``epsilon: 0, normalize: false`` is FedAvg up to rounding;
``epsilon: 1`` is MGDA without a centre.
"""

from __future__ import annotations

import numpy as np
from flwr.app import MetricRecord

from fedzda.strategies.config.fairness import FedMGDAConfig
from fedzda.strategies.weighing import Cohort, WeighingStrategy, Weights

_STEPS = 20_000
_TOLERANCE = 1e-13


class FedMGDA(WeighingStrategy):
    """The step is the shortest mixture of the clients' updates.

    Leaves the client: its model in the clear and its sample count.
    """

    Config = FedMGDAConfig
    needs_losses = False

    def weights(self, cohort: Cohort, metrics: MetricRecord) -> Weights:
        """``server_lr * lambda_k / ||w - w_k||``; what is left to 1 stays with the old model."""
        products = cohort.gram()
        lengths = np.sqrt(np.diag(products))
        scale = np.where(lengths > 0, 1.0 / np.where(lengths > 0, lengths, 1.0), 0.0)
        if not self.config.normalize:
            scale = np.ones_like(lengths)
        products = products * np.outer(scale, scale)
        mixture = shortest(products, cohort.shares / cohort.shares.sum(), self.config.epsilon)
        metrics["fed-mgda-length"] = float(np.sqrt(max(0.0, mixture @ products @ mixture)))
        taken = self.config.server_lr * mixture * scale
        return Weights(taken, received=1.0 - float(taken.sum()))


def shortest(products: np.ndarray, centre: np.ndarray, epsilon: float) -> np.ndarray:
    """The mixture ``x`` of the shortest vector: minimises ``x' G x``.

    Accelerated projected gradient with restarts (O'Donoghue and Candes 2015), to a change below
    1e-13.

    Args:
        products: ``(m, m)`` inner products G of the vectors.
        centre: ``(m,)`` point on the simplex.
        epsilon: ``|x_k - centre_k|`` is at most this.
    """
    low, high = np.maximum(centre - epsilon, 0.0), np.minimum(centre + epsilon, 1.0)
    curvature = float(np.linalg.eigvalsh(products)[-1])
    if epsilon == 0 or curvature <= 0:
        return centre
    here = ahead = centre
    momentum = 1.0
    for _ in range(_STEPS):
        there = into_box(ahead - products @ ahead / curvature, low, high)
        moved = there - here
        if np.abs(moved).max() < _TOLERANCE and np.array_equal(ahead, here):
            return there
        grown = (1.0 + np.sqrt(1.0 + 4.0 * momentum**2)) / 2.0
        if float((ahead - there) @ moved) > 0 or np.abs(moved).max() < _TOLERANCE:
            ahead, momentum = there, 1.0
        else:
            ahead, momentum = there + (momentum - 1.0) / grown * moved, grown
        here = there
    return here


def into_box(point: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """The nearest ``x`` with ``low <= x <= high`` and ``sum(x) = 1``, by bisection on the shift.

    Needs ``sum(low) <= 1 <= sum(high)``.
    """
    left, right = float((point - high).min()), float((point - low).max())
    while True:
        shift = (left + right) / 2.0
        if shift in (left, right):
            break
        if np.clip(point - shift, low, high).sum() > 1.0:
            left = shift
        else:
            right = shift
    nearest: np.ndarray = np.clip(point - right, low, high)
    return nearest
