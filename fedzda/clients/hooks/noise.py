"""The client half of local differential privacy: Gaussian noise on the trained weights.

The arithmetic of Flower's ``LocalDpMod`` after its clipping, on trained weights only. The noise is
a function of (seed, round, client): a client that is run again after a crash sends the same message
and gives nothing more away.
"""

from __future__ import annotations

import torch

from fedzda.base import torch_rng
from fedzda.clients.hooks.base import Hook, LocalRun


class Noise(Hook):
    """Adds noise of the request's ``noise-stddev`` to every trained weight."""

    def finish(self, run: LocalRun) -> None:
        """After clipping, which stands before it among the hooks."""
        stddev = float(run.config["noise-stddev"])
        rng = torch_rng(run.runtime.seed, "local-noise", run.call.round, run.call.client)
        with torch.no_grad():
            for parameter in run.model.parameters():
                if not parameter.requires_grad:  # frozen: every client sends what it received
                    continue
                noise = torch.randn(parameter.shape, generator=rng)
                parameter.add_(noise.to(parameter), alpha=stddev)
