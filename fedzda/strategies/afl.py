"""AFL, agnostic federated learning (Mohri, Sivek, Suresh, ICML 2019, arXiv 1902.00146).

``min_w max_lambda sum_k lambda_k F_k(w)`` over the simplex, by alternating steps: the server weighs
clients by ``lambda`` and moves ``lambda`` up along the losses ``F_k`` of the received model.

    average-first: average with the old lambda, then update it (as the authors of q-FFL do)
    update-first:  update lambda, then average with it (as FairFL does)

Our deviations: the paper lets every client join each round; if only a cohort does, its lambdas are
scaled to sum to 1 for the average, and only they rise before the projection. Clients train locally
as in FedAvg instead of sending a gradient. The last iterate is evaluated, not the mean of all.
Limit case: ``gamma: 0`` is FedAvg with ``weighting: uniform``, up to rounding.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from flwr.app import MetricRecord

from fedzda.platform.setting import Setting
from fedzda.strategies.config.fairness import AFLConfig
from fedzda.strategies.weighing import Cohort, WeighingStrategy, Weights


class AFL(WeighingStrategy):
    """The server plays against the worst mixture of clients.

    Leaves the client: its model in the clear, its sample count, its loss at the received model.
    """

    Config = AFLConfig

    def bind(self, setting: Setting) -> None:
        """Start with the same weight for every client."""
        super().bind(setting)
        self.mixture = np.full(setting.num_clients, 1.0 / setting.num_clients)

    def state(self) -> dict[str, Any]:
        """The mixture of all clients."""
        return {**super().state(), "mixture": self.mixture}

    def load_state(self, state: dict[str, Any]) -> None:
        """Take it over."""
        super().load_state(state)
        self.mixture = state["mixture"]

    def weights(self, cohort: Cohort, metrics: MetricRecord) -> Weights:
        """The cohort's lambdas, before or after they are moved."""
        before = self.mixture[cohort.clients]
        self.mixture = self._moved(cohort)
        after = self.mixture[cohort.clients]
        metrics["afl-largest"] = float(self.mixture.max())
        used = before if self.config.order == "average-first" else after
        if used.sum() <= 0.0:  # nobody of this cohort counts: the model stays as it is
            return Weights(used, received=1.0)
        return Weights(used)

    def _moved(self, cohort: Cohort) -> np.ndarray:
        moved = self.mixture.copy()
        if self.config.ascent == "multiplicative":
            with np.errstate(divide="ignore"):  # a lambda of 0 stays 0
                logs = np.log(moved)
            logs[cohort.clients] += self.config.gamma * cohort.losses
            risen: np.ndarray = np.exp(logs - logs.max())  # large losses would overflow otherwise
            normalised: np.ndarray = risen / risen.sum()
            return normalised
        moved[cohort.clients] += self.config.gamma * cohort.losses
        return onto_simplex(moved)


def onto_simplex(point: np.ndarray) -> np.ndarray:
    """The nearest point ``x`` with ``x >= 0`` and ``sum(x) = 1`` (Duchi et al. 2008, Figure 1)."""
    falling = np.sort(point)[::-1]
    excess = np.cumsum(falling) - 1.0
    kept = np.nonzero(falling - excess / np.arange(1, point.size + 1) > 0)[0][-1]
    nearest: np.ndarray = np.maximum(point - excess[kept] / (kept + 1), 0.0)
    return nearest
