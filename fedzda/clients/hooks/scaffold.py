"""SCAFFOLD's client half: gradients corrected by control variates (arXiv 1910.06378)."""

from __future__ import annotations

from typing import Any

import torch

from fedzda.clients.hooks.base import Hook, LocalRun
from fedzda.platform.averaging import as_tensor
from fedzda.platform.local_steps import lr_factor, reach
from fedzda.platform.records import Arrays

CONTROL = "control"
"""Record of the request, of the reply and of the client's state: one array per trained weight."""


class Scaffold(Hook):
    """Adds ``c - c_k`` to every gradient, then renews ``c_k`` and sends its change.

    ``c`` comes with the request; ``c_k`` is client state and starts at zero. The new ``c_k`` is
    option II of the paper, ``c_k - c + (w - w_k) / (lr * steps)``, with the steps weighted as
    momentum weighs them: the mean of the round's gradients.
    """

    def start(self, run: LocalRun) -> None:
        """Remember the received weights and both control variates."""
        kept = run.call.state.arrays.get(CONTROL, {})
        self.names = [name for name, _ in run.model.named_parameters()]
        self.received = [p.detach().clone() for p in run.model.parameters()]
        self.shared = self._like(run.call.content.arrays[CONTROL])
        self.own = self._like(kept) if kept else [torch.zeros_like(w) for w in self.received]

    def gradient(self, run: LocalRun) -> None:
        """``g - c_k + c``."""
        controls = zip(run.model.parameters(), self.own, self.shared, strict=True)
        for parameter, own, shared in controls:
            if parameter.grad is not None:
                parameter.grad.add_(shared - own)

    def finish(self, run: LocalRun) -> None:
        """Keep the new control variate, and send how it changed."""
        local: Any = run.runtime.config.local
        factor = lr_factor(local, run.call.round, run.runtime.config.rounds)
        length = local.optimizer.lr * factor * reach(local.optimizer, run.metrics["steps"])
        trained = (p.detach() for p in run.model.parameters())
        moved = zip(self.received, trained, self.shared, strict=True)
        changes = [(before - after) / length - shared for before, after, shared in moved]
        renewed = [own + change for own, change in zip(self.own, changes, strict=True)]
        run.state.arrays[CONTROL] = self._named(renewed)
        run.uploads[CONTROL] = self._named(changes)

    def _like(self, arrays: Arrays) -> list[torch.Tensor]:
        pairs = zip(self.names, self.received, strict=True)
        return [as_tensor(arrays[name]).to(weight.device) for name, weight in pairs]

    def _named(self, tensors: list[torch.Tensor]) -> Arrays:
        pairs = zip(self.names, tensors, strict=True)
        return {n: t.cpu().clone(memory_format=torch.contiguous_format).numpy() for n, t in pairs}
