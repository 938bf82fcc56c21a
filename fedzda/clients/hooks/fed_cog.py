"""FedCOG's client half: complementary images, and distillation on them (arXiv 2312.05966)."""

from __future__ import annotations

import json
from typing import Any

import torch
from torch import nn

from fedzda.base import torch_rng
from fedzda.clients.hooks.augmentation import class_counts
from fedzda.clients.hooks.base import Batch, Hook, LocalRun
from fedzda.clients.weights import snapshot
from fedzda.generators.losses import kl_divergence
from fedzda.platform.devices.work import deficit
from fedzda.platform.parts import build_synthesizer

PREVIOUS = "previous"
"""Record of a client's state: the model it had after its last round."""
_BATCH = 256


class ComplementaryImages(Hook):
    """Replaces the loss ``l`` by ``(n l + m T^2 KL(received || own)) / (n + m)``.

    The divergence is over a batch of the m images, with temperature T; n is the number of the
    client's samples. ``num-examples`` of the reply counts those only.
    """

    def start(self, run: LocalRun) -> None:
        """Make the images, and remember what the received model says about them."""
        self.options: dict[str, Any] = json.loads(run.config["fed-cog"])
        self.images: torch.Tensor | None = None
        if not self.options["active"]:
            return
        counts = class_counts(run).numpy()
        need = torch.from_numpy(deficit(counts, self.options["fill"], self.options["cap"]))
        run.metrics["synthetic"] = float(need.sum())
        if int(need.sum()) == 0:
            return
        self.rng = torch_rng(run.runtime.seed, "fed-cog", run.call.round, run.call.client)
        received = run.runtime.model_with(snapshot(run.model)).eval()
        classes = [label for label, count in enumerate(need.tolist()) if count]
        image = run.runtime.image
        synthesizer: Any = build_synthesizer(self.options["synthesizer"])
        synthesizer.student = self._last(run)
        figures = synthesizer.fit(received, classes, image, self.rng)
        run.metrics["zda-agreement"] = figures["agreement"]
        labels = torch.repeat_interleave(torch.arange(len(need)), need)
        self.images = image.normalize(synthesizer.sample(labels, self.rng)).to(run.runtime.device)
        with torch.no_grad():
            answers = [received(part) for part in torch.split(self.images, _BATCH)]
        self.targets = torch.cat(answers)

    def _last(self, run: LocalRun) -> nn.Module:
        """The client's model after its last round; the received one in its first."""
        kept = run.call.state.arrays.get(PREVIOUS)
        return run.runtime.model_with(kept if kept is not None else snapshot(run.model)).eval()

    def loss(self, run: LocalRun, batch: Batch, loss: torch.Tensor) -> torch.Tensor:
        """The mixture of both losses."""
        if self.images is None:
            return loss
        real, made = len(run.data["label"]), len(self.images)
        rows = torch.randint(made, (len(batch["label"]),), generator=self.rng)
        answers = run.model(self.images[rows])
        apart = kl_divergence(self.targets[rows], answers, self.options["temperature"])
        mixed: torch.Tensor = (real * loss + made * apart) / (real + made)
        return mixed

    def finish(self, run: LocalRun) -> None:
        """Keep the trained model for the next round."""
        run.state.arrays[PREVIOUS] = snapshot(run.model)
