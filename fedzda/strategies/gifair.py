"""GIFAIR-FL at the level of clients (Yue, Nouiehed, Al Kontar, 2021, arXiv 2108.02741).

Penalises differences between the clients' losses: client k is weighed by

    p_k + coeff * min_j p_j / (m - 1) * r_k,    r_k = sum_j sign(F_k - F_j)

where ``F`` are the losses of the received model, m is the size of the cohort, and ``r_k`` runs from
``-(m - 1)`` for the lowest loss to ``m - 1`` for the highest. The paper reweighs the clients' own
objective by the same ranks; here the server reweighs the average, as FairFL does. Groups are single
clients. Limit case: ``coeff: 0`` is FedAvg, bit for bit.
"""

from __future__ import annotations

import numpy as np
from flwr.app import MetricRecord

from fedzda.strategies.config.fairness import GifairConfig
from fedzda.strategies.weighing import Cohort, WeighingStrategy, Weights


class Gifair(WeighingStrategy):
    """Clients are weighed by the rank of their loss.

    Leaves the client: its model in the clear, its sample count, its loss at the received model.
    """

    Config = GifairConfig

    def weights(self, cohort: Cohort, metrics: MetricRecord) -> Weights:
        """``n_k`` moved by the rank; all stay positive, and their sum stays the same."""
        return Weights(ranked(cohort.shares, cohort.losses, self.config.coeff))


def ranked(shares: np.ndarray, losses: np.ndarray, coeff: float) -> np.ndarray:
    """``(m,)`` weights in the unit of ``shares``; clients with equal losses have equal ranks."""
    ranks = np.sign(losses[:, None] - losses[None, :]).sum(axis=1)
    weights: np.ndarray = shares + coeff * shares.min() / max(1, losses.size - 1) * ranks
    return weights
