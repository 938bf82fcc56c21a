"""Keep the trained model, or a part of it, on the client from round to round."""

from __future__ import annotations

from torch.nn.modules.batchnorm import _BatchNorm

from fedzda.clients.hooks.base import Hook, LocalRun
from fedzda.clients.weights import load_arrays, snapshot

PERSONAL = "personal"
"""Record of a client's state: arrays that take the place of received ones, in evaluation too."""


class KeepModel(Hook):
    """Local-only training: goes on with the client's own model, and sends nothing."""

    def names(self, run: LocalRun) -> frozenset[str]:
        """Arrays that stay on the client."""
        return frozenset(run.model.state_dict())

    def start(self, run: LocalRun) -> None:
        """Put the client's own arrays into the received model."""
        kept = run.call.state.arrays.get(PERSONAL)
        if kept is not None:
            load_arrays(run.model, {**snapshot(run.model), **kept})
        run.withheld = self.names(run)

    def finish(self, run: LocalRun) -> None:
        """Keep them for the next round."""
        trained = snapshot(run.model)
        run.state.arrays[PERSONAL] = {k: v for k, v in trained.items() if k in run.withheld}


class KeepBatchNorm(KeepModel):
    """FedBN: weights, biases and statistics of BatchNorm layers stay on the client."""

    def names(self, run: LocalRun) -> frozenset[str]:
        """All arrays of BatchNorm layers."""
        return frozenset(
            f"{layer}.{name}" if layer else name
            for layer, module in run.model.named_modules()
            if isinstance(module, _BatchNorm)
            for name in module.state_dict()
        )
