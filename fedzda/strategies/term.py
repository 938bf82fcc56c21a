"""TERM, tilted empirical risk minimisation (Li, Beirami, Sanjabi, Smith, ICLR 2021, arXiv
2007.01162; journal form arXiv 2109.06141).

Minimises ``(1/t) log sum_k p_k exp(t F_k)``, whose gradient weighs client k by
``p_k exp(t F_k)``, normalised. ``F_k`` is the loss of the received model on client k's training
samples. The server rule is the one of FairFL; the authors' code scales the step down further, by an
average of the normaliser and by the cohort, which is not copied. Limit case: ``t: 0`` is FedAvg,
bit for bit.
"""

from __future__ import annotations

import numpy as np
from flwr.app import MetricRecord

from fedzda.strategies.config.fairness import TermConfig
from fedzda.strategies.weighing import Cohort, WeighingStrategy, Weights


class Term(WeighingStrategy):
    """Clients' weights are tilted by the exponential of their loss.

    Leaves the client: its model in the clear, its sample count, its loss at the received model.
    """

    Config = TermConfig

    def weights(self, cohort: Cohort, metrics: MetricRecord) -> Weights:
        """``n_k exp(t F_k)``."""
        tilted = tilt(cohort.shares, cohort.losses, self.config.t)
        metrics["term-largest"] = float(tilted.max() / tilted.sum())
        return Weights(tilted)


def tilt(shares: np.ndarray, losses: np.ndarray, t: float) -> np.ndarray:
    """``(m,)`` weights ``shares * exp(t * (losses - max))``: the largest exponent is 0."""
    tilted: np.ndarray = shares * np.exp(t * losses - (t * losses).max())
    return tilted
