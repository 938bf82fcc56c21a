"""Fed-ZDAC's client half: fill up the classes a client lacks with synthetic images.

Hao et al., CVPR Workshops 2021, arXiv 2104.13417, claims 1-4 of US 12236370 B2.
"""

from __future__ import annotations

import json
from typing import Any

import torch

from fedzda.base import Synthesizer, fingerprint, torch_rng
from fedzda.clients.hooks.base import Batch, Hook, LocalRun
from fedzda.platform.parts import build_synthesizer


def deficit(counts: torch.Tensor, fill: str, cap: float) -> torch.Tensor:
    """Synthetic samples per class for a client with ``counts`` (C,) real ones.

    ``to_max``: up to the largest class; ``to_mean``: up to the mean over the classes it has. No
    class gets more than ``cap * sum(counts) / C``, rounded up.
    """
    held = counts[counts > 0]
    level = counts.max() if fill == "to_max" else held.double().mean().round().long()
    limit = int(-(-cap * float(counts.sum()) // len(counts)))
    return (level - counts).clamp(min=0, max=limit)


class ZeroShotAugmentation(Hook):
    """Extends the client's data by images sampled from a generator of the received model.

    The generator comes with the request, or is fitted here (``share: client``). Labels are hard:
    the ones asked for. The reply's ``num-examples`` counts real samples only, so that a client with
    much synthetic data does not dominate the average.
    """

    def start(self, run: LocalRun) -> None:
        """Make the images; with ``loss_mix: equal`` they join the data, else they stay apart."""
        self.options: dict[str, Any] = json.loads(run.config["zda"])
        self.synthetic: Batch | None = None
        classes = run.runtime.image.num_classes
        counts = torch.bincount(run.data["label"].cpu(), minlength=classes)
        need = deficit(counts, self.options["fill"], self.options["cap"])
        run.details["requested"] = need.double().tolist()
        run.metrics["synthetic"] = 0.0
        if int(need.sum()) == 0:
            return
        synthesizer = self._synthesizer(run)
        if synthesizer is None:
            return
        self._make(run, synthesizer, torch.repeat_interleave(torch.arange(classes), need))

    def _synthesizer(self, run: LocalRun) -> Synthesizer | None:
        """The received generator, or one fitted here; None where its images have no meaning yet."""
        runtime = run.runtime
        synthesizer = build_synthesizer(self.options["synthesizer"])
        received = run.call.content.arrays.get("synthesizer")
        if received is not None:
            tensors = {name: torch.tensor(value) for name, value in received.items()}
            synthesizer.load_state(tensors, runtime.image)
            return synthesizer
        mark = int(fingerprint(run.call.content.arrays["arrays"]), 16)
        keys = (run.call.round, mark, run.call.client)
        run.model.eval()
        figures = synthesizer.fit(
            run.model,
            list(range(runtime.image.num_classes)),
            runtime.image,
            torch_rng(runtime.seed, "zdac-client", *keys),
        )
        run.metrics["zda-agreement"] = figures["agreement"]
        return synthesizer if figures["agreement"] >= self.options["gate_agreement"] else None

    def _make(self, run: LocalRun, synthesizer: Synthesizer, labels: torch.Tensor) -> None:
        rng = torch_rng(run.runtime.seed, "zda-sample", run.call.round, run.call.client)
        labels = labels[torch.randperm(len(labels), generator=rng)]
        device = run.data["label"].device
        images = run.runtime.image.normalize(synthesizer.sample(labels, rng).to(device))
        run.model.eval()
        with torch.no_grad():
            answers = run.model(images).argmax(1).cpu()
        run.details["obtained"] = (
            torch.bincount(answers, minlength=len(run.details["requested"])).double().tolist()
        )
        run.metrics["synthetic"] = float(len(labels))
        self.synthetic = {"image": images, "label": labels.to(device)}
        if self.options["loss_mix"] == "equal":
            run.data = {k: torch.cat([run.data[k], self.synthetic[k]]) for k in run.data}
        self.rng = rng

    def loss(self, run: LocalRun, batch: Batch, loss: torch.Tensor) -> torch.Tensor:
        """With ``loss_mix: count``, the mean of the real and a synthetic batch by their counts."""
        if self.synthetic is None or self.options["loss_mix"] == "equal":
            return loss
        real, made = len(run.data["label"]), len(self.synthetic["label"])
        rows = torch.randint(made, (len(batch["label"]),), generator=self.rng)
        extra = run.runtime.task.loss(run.model, {k: v[rows] for k, v in self.synthetic.items()})
        mixed: torch.Tensor = (real * loss + made * extra) / (real + made)
        return mixed
