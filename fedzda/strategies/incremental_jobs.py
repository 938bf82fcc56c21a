"""What the server does between two phases, as jobs on the engine's workers (``Setting.compute``).

``handler`` is the worker's client runtime; ``image``, ``federation.test``, ``phases``, ``batch``
and ``model_with(arrays)`` are used.
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
from fedzda.platform.scenario.labels import rows_of_phase

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
        round: The last round of the phase, which says how many classes it knows.
        means: Unit mean features ``(seen, D)`` of exemplars; None: nobody keeps any.
    """

    arrays: dict[str, Any]
    round: int
    means: np.ndarray | None = None


@dataclass
class Tested:
    """Samples of every class ``(K,)`` in the global test set, and how many were recognised: by the
    classifier, and by the nearest mean of exemplars if there are any."""

    counts: list[int]
    hits: list[int]
    nearest: list[int] | None


def phase_test(handler: Any, job: PhaseTest) -> Tested:
    """Test a model on the classes seen up to its round."""
    model = handler.model_with(job.arrays).eval()
    handler.phases.tell(model, job.round)
    hits, nearest = _hits(handler, model, job.round), None
    if job.means is not None:
        handler.phases.tell(model, job.round, {"means": job.means})
        nearest = _hits(handler, model, job.round)
    labels = np.asarray(handler.federation.test["label"])
    counts = np.bincount(labels, minlength=handler.image.num_classes)
    return Tested([int(n) for n in counts], hits, nearest)


@torch.no_grad()
def _hits(handler: Any, model: nn.Module, round_: int) -> list[int]:
    """Recognised test samples of every class."""
    table, classes = handler.federation.test, handler.image.num_classes
    rows = np.arange(len(table["label"]))
    rows = rows_of_phase(rows, table["label"], 0, handler.phases.seen(round_))
    hits = np.zeros(classes, dtype=np.int64)
    for start in range(0, len(rows), _BATCH):
        batch = handler.batch(rows[start : start + _BATCH], table)
        right = model(batch["image"]).argmax(dim=1) == batch["label"]
        hits += np.bincount(batch["label"][right].cpu().numpy(), minlength=classes)
    return [int(n) for n in hits]


def fresh_model(handler: Any, item: None) -> dict[str, Any]:
    """Arrays of a model with the initial weights of the run."""
    state = handler.build_model().state_dict()
    return {name: value.cpu().numpy() for name, value in state.items()}
