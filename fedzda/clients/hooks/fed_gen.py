"""FedGen's client half: features of the server's generator as further samples (2105.10056)."""

from __future__ import annotations

import json
from typing import Any

import torch
from torch.nn import functional

from fedzda.base import torch_rng
from fedzda.clients.hooks.base import Batch, Hook, LocalRun
from fedzda.generators.feature_generator import FeatureGenerator, head_of
from fedzda.platform.averaging import as_tensor

GENERATOR = "feature-generator"
"""Record of the request that holds the generator."""


class FeatureReplay(Hook):
    """Adds ``alpha * CE(h(G(z, y)), y)`` for the head h, as many features as the batch has samples.

    Only the head has a gradient from it. The weight falls by ``decay`` a round.
    """

    def start(self, run: LocalRun) -> None:
        """Build the received generator, frozen and in eval mode."""
        options: dict[str, Any] = json.loads(run.config["fed-gen"])
        self.weight = options["alpha"] * options["decay"] ** (run.call.round - 1)
        self.chances = torch.tensor(options["chances"], dtype=torch.float64)
        _, head = head_of(run.model)
        classes, features = run.runtime.image.num_classes, head.in_features
        self.generator = FeatureGenerator(classes, features, options["z_size"], options["hidden"])
        arrays = run.call.content.arrays[GENERATOR]
        self.generator.load_state_dict({k: as_tensor(v) for k, v in arrays.items()})
        self.generator.to(run.runtime.device).eval().requires_grad_(False)
        self.rng = torch_rng(run.runtime.seed, "feature-replay", run.call.round, run.call.client)
        self.total, self.batches = 0.0, 0

    def loss(self, run: LocalRun, batch: Batch, loss: torch.Tensor) -> torch.Tensor:
        """The loss so far and that of the generated features."""
        count = len(batch["label"])
        labels = torch.multinomial(self.chances, count, True, generator=self.rng)
        z = self.generator.noise(count, self.rng)
        features = self.generator(z.to(run.runtime.device), labels.to(run.runtime.device))
        _, head = head_of(run.model)
        replayed = functional.cross_entropy(head(features), labels.to(run.runtime.device))
        self.total += float(replayed.detach())
        self.batches += 1
        whole: torch.Tensor = loss + self.weight * replayed
        return whole

    def finish(self, run: LocalRun) -> None:
        """Report the mean loss on generated features, ``replay-loss``."""
        run.metrics["replay-loss"] = self.total / self.batches
