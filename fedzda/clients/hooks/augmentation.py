"""What all ways to fill up the classes a client lacks share: how many images, and their use.

Fed-ZDAC, its placebo and its oracle differ in where the images come from and in nothing else.
"""

from __future__ import annotations

import json
from abc import abstractmethod
from typing import Any, ClassVar

import torch

from fedzda.base import torch_rng
from fedzda.clients.hooks.base import Batch, Hook, LocalRun
from fedzda.platform.devices.work import deficit


def class_counts(run: LocalRun) -> torch.Tensor:
    """(C,) training samples of each class that the client holds."""
    classes = run.runtime.image.num_classes
    return torch.bincount(run.data["label"].cpu(), minlength=classes)


class Augmentation(Hook):
    """Extends the client's data by labelled images from :meth:`images`.

    The reply's ``num-examples`` counts real samples only, so that a client with much other data
    does not dominate the average. Labels are the ones asked for, or the same in an order of their
    own (``labels: permuted``), which leaves the histogram and takes away what they say.
    """

    request: ClassVar[str]
    """Key of the request that holds the options."""

    def start(self, run: LocalRun) -> None:
        """Get the images; with ``loss_mix: equal`` they join the data, else they stay apart."""
        self.options: dict[str, Any] = json.loads(run.config[self.request])
        self.synthetic: Batch | None = None
        counts = class_counts(run).numpy()
        need = torch.from_numpy(deficit(counts, self.options["fill"], self.options["cap"]))
        run.details["requested"] = need.double().tolist()
        run.metrics["synthetic"] = 0.0
        if int(need.sum()) == 0:
            return
        self.rng = torch_rng(run.runtime.seed, "zda-sample", run.call.round, run.call.client)
        labels = torch.repeat_interleave(torch.arange(len(need)), need)
        labels = labels[torch.randperm(len(labels), generator=self.rng)]
        images = self.images(run, labels, self.rng)
        if images is not None:
            self._use(run, images, labels)

    @abstractmethod
    def images(
        self, run: LocalRun, labels: torch.Tensor, rng: torch.Generator
    ) -> torch.Tensor | None:
        """A normalised image ``(N, C, H, W)`` for every label ``(N,)``; None: not in this round."""

    def _use(self, run: LocalRun, images: torch.Tensor, labels: torch.Tensor) -> None:
        device = run.data["label"].device
        images = images.to(device)
        run.model.eval()
        with torch.no_grad():
            answers = run.model(images).argmax(1).cpu()
        run.details["obtained"] = (
            torch.bincount(answers, minlength=len(run.details["requested"])).double().tolist()
        )
        run.metrics["synthetic"] = float(len(labels))
        if self.options.get("labels") == "permuted":
            keys = (run.call.round, run.call.client)
            rng = torch_rng(run.runtime.seed, "permuted-labels", *keys)
            labels = labels[torch.randperm(len(labels), generator=rng)]
        self.synthetic = {"image": images, "label": labels.to(device)}
        if self.options["loss_mix"] == "equal":
            run.data = {k: torch.cat([run.data[k], self.synthetic[k]]) for k in run.data}

    def loss(self, run: LocalRun, batch: Batch, loss: torch.Tensor) -> torch.Tensor:
        """With ``loss_mix: count``, the mean of the real and a synthetic batch by their counts."""
        if self.synthetic is None or self.options["loss_mix"] == "equal":
            return loss
        real, made = len(run.data["label"]), len(self.synthetic["label"])
        rows = torch.randint(made, (len(batch["label"]),), generator=self.rng)
        extra = run.runtime.task.loss(run.model, {k: v[rows] for k, v in self.synthetic.items()})
        mixed: torch.Tensor = (real * loss + made * extra) / (real + made)
        return mixed
