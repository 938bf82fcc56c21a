"""Ditto's client half: a personal model beside the global one (arXiv 2012.04221, Algorithm 1)."""

from __future__ import annotations

import json
from typing import Any

import torch

from fedzda.base import numpy_rng
from fedzda.clients.hooks.base import Hook, LocalRun
from fedzda.clients.hooks.personal import PERSONAL
from fedzda.clients.hooks.proximal import Proximal
from fedzda.clients.training import train
from fedzda.clients.weights import load_arrays, snapshot


class Ditto(Hook):
    """Trains the personal model, pulled towards the received one, after the global one is done.

    Both see the same batches. A client's first personal model is the one it received. Adds
    ``personal-loss``, the mean training loss of the personal model.
    """

    def start(self, run: LocalRun) -> None:
        """Remember the received weights."""
        self.received = [p.detach().clone() for p in run.model.parameters()]
        self.before = snapshot(run.model)

    def finish(self, run: LocalRun) -> None:
        """Train the personal model on the resident one, then put the global one back."""
        options: dict[str, Any] = json.loads(run.config["ditto"])
        trained = snapshot(run.model)
        load_arrays(run.model, run.call.state.arrays.get(PERSONAL, self.before))
        personal = LocalRun(run.runtime, run.call, run.model, run.data)
        rng = numpy_rng(run.runtime.seed, "batches", run.call.round, run.call.client)
        local = run.runtime.config.local
        if options["personal_epochs"] is not None:
            local = local.model_copy(update={"epochs": options["personal_epochs"], "steps": None})
        train(personal, local, [_Pull(options["lam"], self.received)], rng)
        run.state.arrays[PERSONAL] = snapshot(run.model)
        run.metrics["personal-loss"] = personal.metrics["loss"]
        load_arrays(run.model, trained)


class _Pull(Proximal):
    """Adds the gradient of ``(lambda / 2) ||v - w||^2`` for weights w that are not the start."""

    def __init__(self, weight: float, towards: list[torch.Tensor]) -> None:
        self.mu, self.received = weight, towards

    def start(self, run: LocalRun) -> None:
        """Everything is known."""
