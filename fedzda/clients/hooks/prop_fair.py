"""PropFair's client half: the logarithm of the utility as loss (arXiv 2202.01666)."""

from __future__ import annotations

import json
from typing import Any

import torch

from fedzda.clients.hooks.base import Batch, Hook, LocalRun


class ProportionalLoss(Hook):
    """Replaces a batch's loss ``l`` by ``-log(1 - l / M)``, M = ``base``.

    Where ``M - l < epsilon`` the logarithm explodes or does not exist; there the loss is ``l / M``
    (``fallback: linear``) or ``l / epsilon`` (``huber``, which keeps the slope). Adds
    ``fallback-share``, the share of the batches in which that was so.
    """

    def start(self, run: LocalRun) -> None:
        """Read the constants."""
        self.options: dict[str, Any] = json.loads(run.config["prop-fair"])
        self.batches = self.fallbacks = 0

    def loss(self, run: LocalRun, batch: Batch, loss: torch.Tensor) -> torch.Tensor:
        """The transformed loss."""
        self.batches += 1
        base, epsilon = self.options["base"], self.options["epsilon"]
        if base - float(loss.detach()) < epsilon:
            self.fallbacks += 1
        return proportional(loss, base, epsilon, self.options["fallback"])

    def finish(self, run: LocalRun) -> None:
        """Report how often the logarithm could not be used."""
        run.metrics["fallback-share"] = self.fallbacks / self.batches


def proportional(loss: torch.Tensor, base: float, epsilon: float, fallback: str) -> torch.Tensor:
    """The loss of one batch, a scalar; see :class:`ProportionalLoss`."""
    if base - float(loss.detach()) >= epsilon:
        return -torch.log1p(-loss / base)
    return loss / (base if fallback == "linear" else epsilon)
