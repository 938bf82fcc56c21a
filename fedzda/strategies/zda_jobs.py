"""The heavy work of Fed-ZDA, as jobs that run on the engine's workers (``Setting.compute``).

``handler`` is the worker's client runtime; only ``image``, ``device`` and ``model_with(arrays)``
are used.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from fedzda.base import ImageSpec, Synthesizer, torch_rng
from fedzda.platform.parts import build_synthesizer


@dataclass
class Inversion:
    """One or several classifiers to invert together.

    Attributes:
        models: Arrays of each classifier.
        synthesizer: Configuration as plain data.
        classes: Labels to make.
        key: (seed, purpose, keys…) of the random stream.
        state: Synthesizer state to continue from.
        images: How many labelled images to make at the end; 0: only the synthesizer is wanted.
        keep: ``recognised`` drops images that the classifiers give another label.
        student: Arrays of the model that a synthesizer with an adversarial term looks for
            disagreement with.
    """

    models: list[dict[str, Any]]
    synthesizer: dict[str, Any]
    classes: list[int]
    key: tuple[Any, ...]
    state: dict[str, Any] | None = None
    images: int = 0
    keep: str = "all"
    student: dict[str, Any] | None = None


@dataclass
class Inverted:
    """What an inversion gives: state and figures; images (N, C, H, W) in [0, 1] if asked for."""

    state: dict[str, torch.Tensor]
    figures: dict[str, float]
    images: torch.Tensor = field(default_factory=lambda: torch.empty(0))
    labels: torch.Tensor = field(default_factory=lambda: torch.empty(0, dtype=torch.long))
    probabilities: torch.Tensor = field(default_factory=lambda: torch.empty(0))


class MeanLogits(nn.Module):
    """Several classifiers as one: the mean of their logits."""

    def __init__(self, models: list[nn.Module]) -> None:
        super().__init__()
        self.models = nn.ModuleList(models)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Logits (N, classes)."""
        return torch.stack([model(x) for model in self.models]).mean(0)


def invert(handler: Any, job: Inversion) -> Inverted:
    """Fit a synthesizer to frozen classifiers and, if asked, sample labelled images from it."""
    start = time.perf_counter()
    models = [handler.model_with(arrays) for arrays in job.models]
    classifier = models[0] if len(models) == 1 else MeanLogits(models)
    classifier.eval()
    seed, purpose, *keys = job.key
    rng = torch_rng(seed, purpose, *keys)
    synthesizer: Any = build_synthesizer(job.synthesizer)
    if job.student is not None:
        synthesizer.student = handler.model_with(job.student)
    if job.state is not None:
        synthesizer.load_state({k: torch.as_tensor(v) for k, v in job.state.items()}, handler.image)
    figures = synthesizer.fit(classifier, job.classes, handler.image, rng)
    found = Inverted(synthesizer.state(), figures)
    if job.images:
        _sample(found, synthesizer, classifier, job, handler.image, rng)
    figures["seconds"] = time.perf_counter() - start
    return found


def _sample(
    found: Inverted,
    synthesizer: Synthesizer,
    classifier: nn.Module,
    job: Inversion,
    image: ImageSpec,
    rng: torch.Generator,
) -> None:
    classes = torch.tensor(job.classes)
    labels = classes.repeat(-(-job.images // len(classes)))[: job.images]
    labels = labels[torch.randperm(len(labels), generator=rng)]
    with torch.no_grad():
        images = synthesizer.sample(labels, rng)
        probabilities = classifier(image.normalize(images)).softmax(1)
    kept = torch.ones(len(labels), dtype=torch.bool)
    if job.keep == "recognised":
        kept = probabilities.argmax(1) == labels
    found.images, found.labels = images[kept], labels[kept]
    found.probabilities = probabilities[kept]


@dataclass
class Refinement:
    """Train a model on synthetic images.

    Attributes:
        targets: Labels (N,) or probabilities (N, classes).
        frozen_batchnorm: Keep the stored statistics.
        last_layer: Train the last module that has parameters, and nothing else.
    """

    arrays: dict[str, Any]
    images: torch.Tensor
    targets: torch.Tensor
    steps: int
    lr: float
    batch_size: int
    frozen_batchnorm: bool
    last_layer: bool
    key: tuple[Any, ...]


def refine(handler: Any, job: Refinement) -> tuple[dict[str, torch.Tensor], float]:
    """SGD on cross entropy; returns the new arrays and the mean loss of the steps."""
    model = handler.model_with(job.arrays)
    model.train()
    if job.frozen_batchnorm:
        for module in model.modules():
            if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
                module.eval()
    seed, purpose, *keys = job.key
    rng = torch_rng(seed, purpose, *keys)
    torch.manual_seed(rng.initial_seed())  # dropout draws from the global stream
    optimizer = torch.optim.SGD(_trained(model, job.last_layer), lr=job.lr)
    total = 0.0
    for _ in range(job.steps):
        rows = torch.randint(len(job.images), (job.batch_size,), generator=rng)
        model.zero_grad()
        loss = F.cross_entropy(model(handler.image.normalize(job.images[rows])), job.targets[rows])
        torch.autograd.backward(loss)
        optimizer.step()
        total += float(loss.detach())
    arrays = {name: value.detach().cpu().clone() for name, value in model.state_dict().items()}
    return arrays, total / job.steps


def _trained(model: nn.Module, last_layer: bool) -> list[nn.Parameter]:
    if not last_layer:
        return list(model.parameters())
    own = [list(module.parameters(recurse=False)) for module in model.modules()]
    return next(parameters for parameters in reversed(own) if parameters)
