"""q-FFL's client half: the loss of the received model on the client's whole training set."""

from __future__ import annotations

from dataclasses import replace

import torch

from fedzda.clients.hooks.base import Hook, LocalRun

_BATCH = 256


class InitialLoss(Hook):
    """Sends ``train_loss``, the mean loss at the received weights (arXiv 1905.10497)."""

    def start(self, run: LocalRun) -> None:
        """Evaluate the received model on the training samples, in eval mode."""
        run = replace(run, data=dict(run.data))  # the client's own task may take samples out
        task = run.runtime.task.for_client(run)
        size = len(next(iter(run.data.values())))
        run.model.eval()
        total = 0.0
        with torch.no_grad():
            for first in range(0, size, _BATCH):
                batch = {k: v[first : first + _BATCH] for k, v in run.data.items()}
                count = len(next(iter(batch.values())))
                total += float(task.loss(run.model, batch)) * count
        run.metrics["train_loss"] = total / size
