"""What the server does between two phases, as jobs on the engine's workers (``Setting.compute``).

``handler`` is the worker's client runtime; ``image``, ``federation.test``, ``batch`` and
``model_with(arrays)`` are used.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import nn

from fedzda.base import torch_rng
from fedzda.platform.parts import build_synthesizer

_BATCH = 256


class OldClasses(nn.Module):
    """A classifier as it is before new classes come: the first ``num_old`` logits over ``tau``."""

    def __init__(self, model: nn.Module, num_old: int, tau: float = 1.0) -> None:
        super().__init__()
        self.model, self.num_old, self.tau = model, num_old, tau

    def forward(self, x_NCHW: torch.Tensor) -> torch.Tensor:
        """Logits ``(N, num_old)``."""
        logits: torch.Tensor = self.model(x_NCHW)[:, : self.num_old] / self.tau
        return logits


@dataclass
class Fit:
    """A generator to train from the model of the phase before.

    Attributes:
        arrays: That model.
        num_old: Its classes; the generator knows positions ``0 .. num_old - 1`` alone.
        synthesizer: Configuration as plain data.
        tau: See :class:`OldClasses`.
        key: Seed and phase.
        images: How many samples to make at the end, as bytes.
    """

    arrays: dict[str, Any]
    num_old: int
    synthesizer: dict[str, Any]
    tau: float
    key: tuple[int, int]
    images: int = 0


@dataclass
class Fitted:
    """State and figures of a generator; samples ``(N, C, H, W)`` uint8 and labels if asked for."""

    state: dict[str, torch.Tensor]
    figures: dict[str, float]
    images: torch.Tensor
    labels: torch.Tensor


def fit(handler: Any, job: Fit) -> Fitted:
    """Train the generator, and sample from it in balance if asked to."""
    start = time.perf_counter()
    classifier = OldClasses(handler.model_with(job.arrays), job.num_old, job.tau).eval()
    image = replace(handler.image, num_classes=job.num_old)
    rng = torch_rng(job.key[0], "dfgr", job.key[1])
    synthesizer = build_synthesizer(job.synthesizer)
    figures = synthesizer.fit(classifier, range(job.num_old), image, rng)
    labels = torch.arange(job.num_old).repeat(-(-job.images // job.num_old))[: job.images]
    labels = labels[torch.randperm(len(labels), generator=rng)]
    pixels = torch.empty(0, *image.shape)
    if job.images:
        with torch.no_grad():
            pixels = synthesizer.sample(labels, rng)
    figures["seconds"] = time.perf_counter() - start
    return Fitted(synthesizer.state(), figures, pixels.mul(255).round().byte(), labels)


@dataclass
class PhaseTest:
    """A model to test on the global test set after a phase.

    Attributes:
        arrays: The model.
        seen: Classes it knows.
    """

    arrays: dict[str, Any]
    seen: int


@torch.no_grad()
def phase_test(handler: Any, job: PhaseTest) -> tuple[list[int], list[int]]:
    """Hits of every class ``(K,)`` and samples ``(K,)`` in the global test set."""
    model = OldClasses(handler.model_with(job.arrays), job.seen).eval()
    table = handler.federation.test
    labels = np.asarray(table["label"])
    classes = handler.image.num_classes
    rows = np.flatnonzero(labels < job.seen)
    hits = np.zeros(classes, dtype=np.int64)
    for start in range(0, len(rows), _BATCH):
        batch = handler.batch(rows[start : start + _BATCH], table)
        right = model(batch["image"]).argmax(dim=1) == batch["label"]
        hits += np.bincount(batch["label"][right].cpu().numpy(), minlength=classes)
    counts = np.bincount(labels, minlength=classes)
    return [int(n) for n in hits], [int(n) for n in counts]


def fresh_model(handler: Any, item: None) -> dict[str, Any]:
    """Arrays of a model with the initial weights of the run."""
    state = handler.build_model().state_dict()
    return {name: value.cpu().numpy() for name, value in state.items()}
