"""The client half of clipping: scale the update down to the norm that the request names.

Flat clipping (McMahan et al. 2018, arXiv 1710.06963). The arithmetic of Flower's clipping mods,
with three differences: only trained weights take part, the norm is summed in float64, and an update
of length 0 is left alone.
"""

from __future__ import annotations

import torch

from fedzda.clients.hooks.base import Hook, LocalRun


class Clipping(Hook):
    """Clips to the request's ``clipping_norm``, the key that Flower's client-side wrappers send.

    With ``report-norm-bit`` in the request the reply's metrics hold ``norm_bit``: 1 if the update
    was longer than the norm, which is what adaptive clipping needs.
    """

    def start(self, run: LocalRun) -> None:
        """Remember the received weights."""
        self.received = [p.detach().clone() for p in run.model.parameters()]

    def finish(self, run: LocalRun) -> None:
        """Replace the trained weights by ``received + update * min(1, norm / length)``."""
        limit = float(run.config["clipping_norm"])
        with torch.no_grad():
            pairs = list(zip(run.model.parameters(), self.received, strict=True))
            squares = [(p - start).double().square().sum() for p, start in pairs]
            length = float(torch.stack(squares).sum().sqrt())
            if length > limit:
                for parameter, start in pairs:
                    parameter.copy_(start + (parameter - start) * (limit / length))
        if "report-norm-bit" in run.config:
            run.metrics["norm_bit"] = int(length > limit)
