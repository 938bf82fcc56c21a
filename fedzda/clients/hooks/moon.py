"""MOON's client half: model-contrastive learning (arXiv 2103.16257, section 3.3)."""

from __future__ import annotations

import json
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from fedzda.base import UserError
from fedzda.clients.hooks.base import Batch, Hook, LocalRun
from fedzda.clients.weights import load_arrays, snapshot

PREVIOUS = "previous"
"""Record of a client's state: the model it had after its last round."""
_SHARED, _PREVIOUS = "moon-shared", "moon-previous"
_BATCH = 256


class Moon(Hook):
    """Pulls representations towards the received model's, away from the client's last model's.

    Adds ``mu * -log(e^(s/T) / (e^(s/T) + e^(p/T)))`` to the loss, with the cosine similarities s
    and p of a sample's representation to those of the two models. A client in its first round has
    no last model and trains without the term, whose gradient would be zero there.
    """

    seen: torch.Tensor
    """What last entered the head, ``(N, D)``."""

    def start(self, run: LocalRun) -> None:
        """Compute both models' representations of all samples, which are frozen for the round."""
        options: dict[str, Any] = json.loads(run.config["moon"])
        self.mu, self.temperature = options["mu"], options["temperature"]
        self.handle: Any = None
        previous = run.call.state.arrays.get(PREVIOUS)
        if self.mu == 0 or previous is None:
            return
        self.handle = _head(run.model).register_forward_pre_hook(self._see)
        received = snapshot(run.model)
        shared = self._represent(run)
        load_arrays(run.model, previous)
        run.data = {**run.data, _SHARED: shared, _PREVIOUS: self._represent(run)}
        load_arrays(run.model, received)

    def _see(self, module: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        self.seen = inputs[0]

    def _represent(self, run: LocalRun) -> torch.Tensor:
        """What enters the last linear layer, ``(N, D)``."""
        run.model.eval()
        parts = []
        with torch.no_grad():
            for first in range(0, len(run.data["label"]), _BATCH):
                batch = {name: own[first : first + _BATCH] for name, own in run.data.items()}
                run.runtime.task.outputs(run.model, batch)
                parts.append(self.seen)
        return torch.cat(parts)

    def loss(self, run: LocalRun, batch: Batch, loss: torch.Tensor) -> torch.Tensor:
        """The task's loss and the contrastive term."""
        if self.handle is None:
            return loss
        term = contrast(self.seen, batch[_SHARED], batch[_PREVIOUS], self.temperature)
        whole: torch.Tensor = loss + self.mu * term
        return whole

    def finish(self, run: LocalRun) -> None:
        """Keep the trained model for the next round."""
        if self.mu > 0:
            run.state.arrays[PREVIOUS] = snapshot(run.model)

    def close(self) -> None:
        """Stop looking at the resident model."""
        if getattr(self, "handle", None) is not None:
            self.handle.remove()


def contrast(
    own: torch.Tensor, shared: torch.Tensor, previous: torch.Tensor, temperature: float
) -> torch.Tensor:
    """The contrastive term, mean over samples; representations ``(N, D)``."""
    towards = functional.cosine_similarity(own, shared, dim=1) / temperature
    away = functional.cosine_similarity(own, previous, dim=1) / temperature
    return functional.softplus(away - towards).mean()


def _head(model: nn.Module) -> nn.Linear:
    layers = [module for module in model.modules() if isinstance(module, nn.Linear)]
    if not layers:
        raise UserError(
            "strategy 'moon' compares what enters the model's last linear layer, and the model has "
            f"none ({type(model).__name__}). Choose a model that ends in a linear layer."
        )
    return layers[-1]
