"""q-FFL by q-FedAvg (Li, Sanjabi, Beirami, Smith, ICLR 2020, arXiv 1905.10497, Algorithm 2).

Minimises ``sum_k p_k F_k^(q+1) / (q+1)``: clients with a high loss count more. With the clients'
step size ``eta``, ``g_k = (w - w_k) / eta`` and the loss ``F_k`` of the received model on client
k's whole training set:

    Delta_k = F_k^q g_k
    h_k     = q F_k^(q-1) ||g_k||^2 + F_k^q / eta
    w      <- w - sum p_k Delta_k / sum p_k h_k

Our deviations: the paper samples clients by their share ``p_k`` and then sums without it (that is
``sampling: size-weighted, weighting: uniform``); by default clients are sampled uniformly and the
sums carry ``p_k``. Norms are over trained weights only. ``1 / eta`` is the paper's estimate of the
Lipschitz constant L, which may be given instead. Limit case: ``q: 0`` is FedAvg up to rounding.
"""

from __future__ import annotations

import logging

import numpy as np
from flwr.app import MetricRecord

from fedzda.platform.local_steps import lr_factor
from fedzda.strategies.config.fairness import QFFLConfig
from fedzda.strategies.weighing import Cohort, WeighingStrategy, Weights, inner

_TINY = 1e-10
"""Added to losses, as the authors' code does: a loss of 0 has no power below 0."""
_SHORT = 0.02
"""Share of the clients' updates below which a round's step is worth a warning."""

_log = logging.getLogger(__name__)


class QFFL(WeighingStrategy):
    """Clients with a high loss take larger steps.

    Leaves the client: its model in the clear, its sample count, its loss at the received model.
    """

    Config = QFFLConfig
    _warned = False

    def weights(self, cohort: Cohort, metrics: MetricRecord) -> Weights:
        """``c_k = p_k F_k^q / (eta sum p_k h_k)``; what is left to 1 stays with the old model."""
        config = self.setting.config
        rate = config.local.optimizer.lr * lr_factor(config.local, cohort.round, config.rounds)
        if self.config.lipschitz is not None:
            rate = 1.0 / self.config.lipschitz
        squares = np.array([inner(update, update) for update in cohort.updates()])
        share = cohort.shares / cohort.shares.sum()
        coefficients = step_coefficients(share, cohort.losses, squares, self.config.q, rate)
        step = float(coefficients.sum())
        metrics["q-ffl-step"] = step
        if step < _SHORT and not self._warned:
            self._warned = True
            _log.warning(
                "q-ffl: the model moves by %.2g %% of the clients' updates in round %d. Lower "
                "strategy.lipschitz (it counts as %.3g), strategy.q or the clients' steps.",
                100 * step,
                cohort.round,
                1 / rate,
            )
        return Weights(coefficients, received=1.0 - step)


def step_coefficients(
    share: np.ndarray, losses: np.ndarray, squares: np.ndarray, q: float, rate: float
) -> np.ndarray:
    """``c_k`` of ``w - sum_k c_k (w - w_k)``.

    Args:
        share: ``(m,)`` p_k, summing to 1.
        losses: ``(m,)`` F_k in nats.
        squares: ``(m,)`` squared lengths of ``w - w_k``.
        q: Fairness exponent, at least 0.
        rate: eta, the clients' step size.
    """
    losses = losses + _TINY
    h = q * losses ** (q - 1) * squares / rate**2 + losses**q / rate
    coefficients: np.ndarray = share * losses**q / rate / float(share @ h)
    return coefficients
