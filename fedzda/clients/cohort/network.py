"""One model with many sets of weights.

Shapes: K clients, B rows of a padded batch.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.func import functional_call, vmap

from fedzda.clients.cohort.batchnorm import ClientBatchNorm, Rows, Statistics, learn
from fedzda.clients.hooks.base import Batch
from fedzda.clients.tasks.base import Task

Stack = dict[str, torch.Tensor]
"""Name of a parameter or buffer -> its values for all clients, (K, …)."""
Seen = dict[str, list[Statistics]]
"""Name of a BatchNorm layer -> what it saw, one entry per pass through it."""


class _TaskOutputs(nn.Module):
    """The task's view of the model, as a module whose weights can be swapped."""

    def __init__(self, model: nn.Module, task: Task) -> None:
        super().__init__()
        self.model = model
        self.task = task

    def forward(self, batch: Batch) -> torch.Tensor:
        outputs: torch.Tensor = self.task.outputs(self.model, batch)
        return outputs


class StackedNetwork:
    """Applies a model to the batches of many clients, each with weights of its own.

    Args:
        model: The architecture; it is copied, never changed.
        task: Says what the outputs are.
        arrays: The received weights by name, from which every client starts.
    """

    def __init__(self, model: nn.Module, task: Task, arrays: Mapping[str, Any]) -> None:
        self.model = copy.deepcopy(model).train()
        # A copy of each array, because torch warns about the read-only ones of an object store.
        received = {n: torch.tensor(np.asarray(arrays[n])) for n in self.model.state_dict()}
        self.model.load_state_dict(received)
        self.layers = _replace_batchnorm(self.model)
        self._outputs = _TaskOutputs(self.model, task)
        parameters = dict(self.model.named_parameters())
        self.trainable = [name for name, value in parameters.items() if value.requires_grad]
        self._tensors = parameters | dict(self.model.named_buffers())
        # Tied weights have several names in a state dict, and one here.
        known = {id(value): name for name, value in self._tensors.items()}
        state = self.model.state_dict(keep_vars=True)
        self.canonical = {name: known[id(value)] for name, value in state.items()}

    def stack(self, num_clients: int) -> Stack:
        """The received weights, once per client, in memory of their own."""
        return {
            name: value.detach().expand(num_clients, *value.shape).clone()
            for name, value in self._tensors.items()
        }

    def outputs(self, stack: Stack, batch: Batch, rows: Rows) -> tuple[torch.Tensor, Seen]:
        """The task's outputs ``(K, B, …)`` and what the BatchNorm layers saw.

        Args:
            stack: As :meth:`stack` gives it.
            batch: Columns ``(K, B, …)``.
            rows: ``real`` (K, B) and ``learns`` (K,).
        """

        def one_client(
            weights: Stack, own: Batch, real: torch.Tensor, learns: torch.Tensor
        ) -> tuple[torch.Tensor, Seen]:
            for layer in self.layers.values():
                layer.rows, layer.seen = Rows(rows.full, real, learns), []
            weights = {f"model.{name}": value for name, value in weights.items()}
            outputs = functional_call(self._outputs, weights, (own,))
            return outputs, {name: layer.seen for name, layer in self.layers.items()}

        found: tuple[torch.Tensor, Seen] = vmap(one_client)(stack, batch, rows.real, rows.learns)
        return found

    def learn(self, stack: Stack, seen: Seen) -> None:
        """Update the running statistics in ``stack`` in place."""
        with torch.no_grad():
            for name, layer in self.layers.items():
                buffers = ("running_mean", "running_var", "num_batches_tracked")
                mean, variance, tracked = (stack[f"{name}.{buffer}"] for buffer in buffers)
                for one in seen[name]:
                    learn(one, layer.momentum, mean, variance, tracked)

    def unstack(self, stack: Stack, num_clients: int) -> list[dict[str, torch.Tensor]]:
        """Every client's state dict on the CPU, in memory of its own."""
        host = {name: value.cpu() for name, value in stack.items()}
        return [
            {name: host[known][client].clone() for name, known in self.canonical.items()}
            for client in range(num_clients)
        ]


def _replace_batchnorm(model: nn.Module) -> dict[str, ClientBatchNorm]:
    """Put a :class:`ClientBatchNorm` in the places of every BatchNorm; by their first names."""
    made: dict[nn.Module, ClientBatchNorm] = {}
    for name, layer in list(model.named_modules(remove_duplicate=False)):
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d):
            made.setdefault(layer, ClientBatchNorm(layer, name))
            model.set_submodule(name, made[layer])
    return {layer.name: layer for layer in made.values()}
