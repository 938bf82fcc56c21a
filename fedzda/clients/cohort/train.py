"""The optimiser loop of many clients at once: ``training.train`` with a leading dimension.

Shapes: K clients of a group, B rows of a padded batch.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

from fedzda.clients.cohort.network import StackedNetwork
from fedzda.clients.cohort.schedule import Schedule, Step
from fedzda.clients.hooks.base import Batch
from fedzda.clients.optimizers import make_optimizer
from fedzda.clients.tasks.base import Task
from fedzda.platform.config import LocalConfig

Trained = tuple[dict[str, torch.Tensor], dict[str, float]]
"""One client's state dict, on the CPU, and its metrics ``loss`` and ``steps``."""


def train_cohort(
    model: nn.Module,
    task: Task,
    arrays: Mapping[str, Any],
    data: list[Batch],
    local: LocalConfig,
    rngs: list[np.random.Generator],
    rounds_: int,
    max_clients: int = 32,
) -> list[Trained]:
    """One round of many clients that start from the same weights.

    The result equals that of ``training.train`` without hooks, client by client, up to rounding.
    Clients are trained in groups of ``max_clients`` in the order given, so that the last bits
    depend on that order alone. Ask :func:`fedzda.clients.cohort.can_vectorise` first.

    Args:
        model: The architecture, on the device to train on; it is copied, never changed.
        task: Must offer ``sample_losses``.
        arrays: The received state dict (arrays or CPU tensors).
        data: Each client's samples on the device, columns ``(N_k, …)`` with ``N_k >= 1``.
        local: Batch size, epochs or steps, optimiser, decay, clipping.
        rngs: Each client's random numbers, which decide its batches.
        rounds_: Number of the round, from 1, for the decay of the step size.
        max_clients: Most clients in memory at once, at least 1.

    Returns:
        For each client its trained state dict (CPU, all names of ``model``) and its metrics:
        ``loss``, the mean training loss over the samples seen, and ``steps``.
    """
    network = StackedNetwork(model, task, arrays)
    trained: list[Trained] = []
    for first in range(0, len(data), max_clients):
        part = slice(first, first + max_clients)
        trained += _Group(network, task, data[part], local, rngs[part], rounds_).train()
    return trained


class _Group:
    """Clients in training. Their arrays stand in the order of the schedule, the longest first."""

    def __init__(
        self,
        network: StackedNetwork,
        task: Task,
        data: list[Batch],
        local: LocalConfig,
        rngs: list[np.random.Generator],
        round_number: int,
    ) -> None:
        self.network, self.task, self.clip_norm = network, task, local.clip_norm
        self.data = {name: torch.cat([own[name] for own in data]) for name in data[0]}
        sizes = [len(next(iter(own.values()))) for own in data]
        device = next(iter(self.data.values())).device
        self.schedule = Schedule(sizes, local, rngs, device)
        self.stack = network.stack(len(data))
        self.total_loss = torch.zeros(len(data), dtype=torch.float64, device=device)
        self.weights = {name: nn.Parameter(self.stack[name]) for name in network.trainable}
        factor = local.lr_decay ** (round_number - 1)
        every = nn.ParameterList(self.weights.values())
        self.optimizer = make_optimizer(local.optimizer, every, factor)

    def train(self) -> list[Trained]:
        """All steps; results in the order of the clients given."""
        active = len(self.schedule.order)
        for number in range(len(self.schedule)):
            step = self.schedule[number]
            if len(step.counts) < active:
                active = len(step.counts)
                self._narrow(active)
            self._step(step)
        return self._results()

    def _narrow(self, active: int) -> None:
        """Go on with the first ``active`` clients.

        The weights in training are views of ``stack``, where those of the clients that are done
        stay as they are.
        """
        before = self.weights
        self.weights = {name: nn.Parameter(self.stack[name][:active]) for name in before}
        self.optimizer.narrow({before[name]: weight for name, weight in self.weights.items()})

    def _step(self, step: Step) -> None:
        """One gradient step of every client at work."""
        active = len(step.counts)
        stack = {name: value[:active] for name, value in self.stack.items()}
        rows = step.index.flatten()
        samples = {name: column[rows] for name, column in self.data.items()}
        batch = {
            n: column.view(*step.index.shape, *column.shape[1:]) for n, column in samples.items()
        }
        outputs, seen = self.network.outputs(stack | self.weights, batch, step.rows)
        losses = self.task.sample_losses(outputs.flatten(0, 1), samples).view(step.index.shape)
        loss_K = torch.where(step.rows.real, losses, 0).sum(dim=1) / step.counts
        self.optimizer.zero_grad()
        torch.autograd.backward(loss_K, torch.ones_like(loss_K))
        if self.clip_norm is not None:
            _clip([w.grad for w in self.weights.values() if w.grad is not None], self.clip_norm)
        self.optimizer.step()
        self.network.learn(stack, seen)
        self.total_loss[:active] += loss_K.detach().double() * step.counts

    def _results(self) -> list[Trained]:
        order, schedule = self.schedule.order, self.schedule
        states = self.network.unstack(self.stack, len(order))
        mean_loss = self.total_loss.cpu().numpy() / schedule.num_samples
        metrics = [
            {"loss": float(loss), "steps": steps}
            for loss, steps in zip(mean_loss, schedule.num_steps, strict=True)
        ]
        return [(states[place], metrics[place]) for place in np.argsort(order)]


def _clip(gradients: list[torch.Tensor], max_norm: float) -> None:
    """``nn.utils.clip_grad_norm_`` for each client on its own, in place; gradients ``(K, …)``."""
    parts = [gradient.reshape(len(gradient), -1).norm(dim=1) for gradient in gradients]
    factor_K = (max_norm / (torch.stack(parts).norm(dim=0) + 1e-6)).clamp(max=1.0)
    for gradient in gradients:
        gradient.mul_(factor_K.view(-1, *[1] * (gradient.dim() - 1)))
