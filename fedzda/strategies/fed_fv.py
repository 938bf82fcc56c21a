"""FedFV, federated fair averaging (Wang, Fan, Qi, Wen, Wang, Yu, IJCAI 2021, arXiv 2104.14937).

Before averaging, every client's update loses its part against the updates it conflicts with
(negative inner product), one after the other by rising loss (Algorithm 2); the ``alpha`` share of
the clients with the highest losses keep theirs. Then the average loses its part against the sum of
what clients outside the cohort sent against it in one of the last ``tau`` rounds (Algorithm 3),
oldest round first, and gets the length of the plain average back (Algorithm 1).

Our choices: ``alpha`` and ``tau`` (the paper tunes them), equal weights as in the paper unless
``weighting: size``. Only trained weights take part. Limit case: ``alpha: 1, tau: 0`` is FedAvg up
to rounding.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from flwr.app import Message, MetricRecord

from fedzda.strategies.config.fairness import FedFVConfig
from fedzda.strategies.weighing import Cohort, Tensors, WeighingStrategy, inner


class FedFV(WeighingStrategy):
    """Updates lose the part in which they are in conflict with others.

    Leaves the client: its model in the clear, its sample count, its loss at the received model.
    """

    Config = FedFVConfig

    def __init__(self, config: FedFVConfig) -> None:
        super().__init__(config)
        self._sent: dict[int, tuple[int, Tensors]] = {}

    def state(self) -> dict[str, Any]:
        """Updates of the last ``tau`` rounds: client to (round, update)."""
        return {**super().state(), "sent": self._sent}

    def load_state(self, state: dict[str, Any]) -> None:
        """Take them over."""
        super().load_state(state)
        self._sent = state["sent"]

    def step(self, cohort: Cohort, replies: list[Message], metrics: MetricRecord) -> Tensors:
        """``w`` minus the average without its conflicts."""
        updates = list(cohort.updates())
        share = cohort.shares / cohort.shares.sum()
        products = cohort.gram()
        mixture = share @ without_conflicts(products, cohort.losses, self.config.alpha)
        length = math.sqrt(max(0.0, float(share @ products @ share)))
        step = _combined(updates, mixture)
        step = self._against_absent(cohort, step)
        after = math.sqrt(inner(step, step))
        pairs = products.size - len(products)
        metrics["fed-fv-conflicts"] = float((products < 0).sum() / max(1, pairs))
        self._remember(cohort, updates)
        scale = length / after if after > 0 else 0.0
        before = self._received()
        return {n: (before[n].double() - scale * step[n]).to(before[n].dtype) for n in step}

    def _against_absent(self, cohort: Cohort, step: Tensors) -> Tensors:
        """Take out what is against clients that are not in the cohort, oldest round first."""
        present = set(cohort.clients)
        for past in range(cohort.round - self.config.tau, cohort.round):
            gone = [u for c, (r, u) in sorted(self._sent.items()) if r == past and c not in present]
            gone = [update for update in gone if inner(step, update) < 0]
            if not gone:
                continue
            against = _combined(gone, np.ones(len(gone)))
            product, square = inner(step, against), inner(against, against)
            if product < 0 and square > 0:
                step = {n: step[n] - product / square * against[n] for n in step}
        return step

    def _remember(self, cohort: Cohort, updates: list[Tensors]) -> None:
        if self.config.tau == 0:
            return
        for client, update in zip(cohort.clients, updates, strict=True):
            self._sent[client] = (cohort.round, {n: v.float() for n, v in update.items()})
        oldest = cohort.round + 1 - self.config.tau
        self._sent = {c: kept for c, kept in self._sent.items() if kept[0] >= oldest}


def without_conflicts(products: np.ndarray, losses: np.ndarray, alpha: float) -> np.ndarray:
    """Algorithm 2 on inner products alone.

    Args:
        products: ``(m, m)`` inner products of the updates.
        losses: ``(m,)`` of the clients.
        alpha: Share of the clients, those with the highest losses, that keep their update.

    Returns:
        ``(m, m)``: row k holds the coefficients of client k's new update in the old ones.
    """
    count = losses.size
    order = np.argsort(losses, kind="stable")
    kept = set(order[count - math.ceil(alpha * count) :].tolist())
    rows = np.eye(count)
    for client in range(count):
        if client in kept:
            continue
        for other in order:
            product = float(rows[client] @ products[:, other])
            if other != client and product < 0 and products[other, other] > 0:
                rows[client, other] -= product / products[other, other]
    return rows


def _combined(updates: list[Tensors], weights: np.ndarray) -> Tensors:
    total = {
        name: torch.zeros_like(value, dtype=torch.float64) for name, value in updates[0].items()
    }
    for update, weight in zip(updates, weights, strict=True):
        for name, value in update.items():
            total[name].add_(value, alpha=float(weight))
    return total
