"""FedProx's client half: ``(mu / 2) * ||w - w_received||^2`` in the loss (arXiv 1812.06127)."""

from __future__ import annotations

import torch

from fedzda.clients.hooks.base import Hook, LocalRun


class Proximal(Hook):
    """Adds the gradient of the proximal term, ``mu * (w - w_received)``, to every step.

    ``mu`` is the request's ``proximal-mu``, the key that Flower's FedProx sends. Only trainable
    parameters take part. With mu = 0 training is FedAvg's, bit for bit.
    """

    def start(self, run: LocalRun) -> None:
        """Remember the received weights."""
        self.mu = float(run.config["proximal-mu"])
        self.received = [p.detach().clone() for p in run.model.parameters()]

    def gradient(self, run: LocalRun) -> None:
        """Pull the weights back."""
        if self.mu == 0.0:
            return
        with torch.no_grad():
            for parameter, start in zip(run.model.parameters(), self.received, strict=True):
                if parameter.grad is not None:
                    parameter.grad.add_(parameter - start, alpha=self.mu)
