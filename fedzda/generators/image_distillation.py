"""Image distillation: optimise the pixels of a batch until a frozen classifier sees the labels
asked for and its BatchNorm layers see the statistics they stored.

The form of DeepInversion (Yin et al. 2020, arXiv 1912.08795): Adam on normalised pixels lowers

    ce_weight * CE(t(x), y) + bn_weight * L_BN(t; x) + tv_weight * TV(x) + l2_weight * |x|
        + js_weight * (1 - JS(t(x), s(x)))

with the frozen classifier t and, where ``js_weight`` is not 0, a frozen student s. The defaults are
our choice; ``preset`` has settings of public code.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional

from fedzda.base import ImageSpec, UserError
from fedzda.generators.bn_match import BNMatch
from fedzda.generators.checks import check_classifier
from fedzda.generators.common import (
    balanced_labels,
    device_of,
    frozen,
    frozen_student,
    pixels_of,
    rows_for,
)
from fedzda.generators.config import ImageDistillationConfig
from fedzda.generators.files import save_state
from fedzda.generators.history import History
from fedzda.generators.losses import image_norm, js_divergence, total_variation
from fedzda.generators.quality import assess


class ImageDistillation:
    """A :class:`fedzda.base.Synthesizer` that keeps a pool of optimised images.

    A second ``fit`` for the same classes continues from the pool; for others it starts from noise.

    Args:
        config: Weights, steps and sizes.
        student: What ``js_weight`` is measured against: a classifier of the same images, left as it
            is.
    """

    Config = ImageDistillationConfig

    def __init__(self, config: ImageDistillationConfig, student: nn.Module | None = None) -> None:
        self.config = config
        self.student = student
        self.image: ImageSpec | None = None
        self.images: torch.Tensor | None = None
        """The pool, ``(N, C, H, W)`` in [0, 1]."""
        self.labels = torch.empty(0, dtype=torch.int64)
        """Labels of the pool, ``(N,)``."""
        self.history: History | None = None
        """Losses of the last fit, batch after batch."""

    def fit(
        self,
        classifier: nn.Module,
        classes: Sequence[int],
        image: ImageSpec,
        rng: torch.Generator,
    ) -> dict[str, float]:
        """Optimise ``batches`` batches for ``steps`` steps each and assess the first.

        Args:
            classifier: In eval mode, takes normalised images; left as found.
            classes: Labels of the pool; every batch holds all of them equally often, or, where
                there are more classes than images in a batch, all batches together do.
            image: The images it was trained on.
            rng: CPU generator: labels, noise, shifts and mirrorings all come from it.

        Returns:
            The figures of :func:`fedzda.generators.quality.assess`.

        Raises:
            UserError: No class asked for or more than the pool has images, a classifier that cannot
                be inverted (see :func:`fedzda.generators.checks.check_classifier`) or has no
                BatchNorm statistics, or a ``js_weight`` without a student.
        """
        check_classifier(classifier, image)
        pixels, labels = self._start(classes, image, rng)
        size = self.config.batch_size
        starts = list(zip(torch.split(pixels, size), torch.split(labels, size), strict=True))
        self.history = History(self.config.steps * len(starts))
        with ExitStack() as stack:
            stack.enter_context(frozen(classifier))
            match = stack.enter_context(BNMatch(classifier, self.config.bn))
            objective = _Objective(self.config, classifier, match, self._student(stack, classifier))
            done = [
                self._optimise(objective, number, batch, targets, image, rng)
                for number, (batch, targets) in enumerate(starts)
            ]
        self.images, self.labels, self.image = torch.cat(done), labels, image
        return assess(classifier, self.images[:size], labels[:size], image, self.config.bn)

    def sample(self, labels: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
        """One image of the pool per label, float32 ``(N, C, H, W)`` in [0, 1].

        Within a call no image of a class comes twice before all of them came once.

        Raises:
            UserError: A label is not in the pool.
        """
        images = self._fitted()
        rows = rows_for(self.labels, labels.cpu(), rng, "image-distillation")
        return images[rows].to(labels.device)

    def state(self) -> dict[str, torch.Tensor]:
        """The pool: ``images`` and ``labels``."""
        return {"images": self._fitted().clone(), "labels": self.labels.clone()}

    def load_state(self, state: Mapping[str, torch.Tensor], image: ImageSpec) -> None:
        """Take over a :meth:`state`. Raises UserError if its images have another shape."""
        if tuple(state["images"].shape[1:]) != image.shape:
            raise UserError(
                f"the saved pool holds images of shape {tuple(state['images'].shape[1:])}, the "
                f"data set has {image.shape}. Use the pool of the same data set."
            )
        self.images, self.labels = state["images"].clone(), state["labels"].clone()
        self.image = image

    def save(self, path: Path, classifier_fingerprint: str = "") -> None:
        """Write :meth:`state` as safetensors; metadata as in ``fedzda.generators.files``."""
        state = self.state()
        save_state(state, path, self.config, classifier_fingerprint, self.image, self.history)

    def _fitted(self) -> torch.Tensor:
        if self.images is None:
            raise RuntimeError("image-distillation has no pool yet: call fit or load_state first")
        return self.images

    def _start(
        self, classes: Sequence[int], image: ImageSpec, rng: torch.Generator
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Pixels and labels to start from: the pool, or normalised noise."""
        if self.images is not None and torch.unique(self.labels).tolist() == sorted(set(classes)):
            return image.normalize(self.images), self.labels
        labels = self._pool_labels(classes, rng)
        return torch.randn(len(labels), *image.shape, generator=rng), labels

    def _pool_labels(self, classes: Sequence[int], rng: torch.Generator) -> torch.Tensor:
        size, batches = self.config.batch_size, self.config.batches
        if len(classes) > size * batches:
            raise UserError(
                f"image-distillation keeps {size * batches} images (batch_size {size}, batches "
                f"{batches}), and {len(classes)} classes are asked for. Raise one of the two."
            )
        if len(classes) > size:
            return balanced_labels(classes, size * batches, rng)
        return torch.cat([balanced_labels(classes, size, rng) for _ in range(batches)])

    def _student(self, stack: ExitStack, classifier: nn.Module) -> nn.Module | None:
        key = "image-distillation.js_weight"
        return frozen_student(stack, self.student, classifier, key, self.config.js_weight)

    def _optimise(
        self,
        objective: _Objective,
        number: int,
        start: torch.Tensor,
        labels: torch.Tensor,
        image: ImageSpec,
        rng: torch.Generator,
    ) -> torch.Tensor:
        """The best iterate of one batch, in [0, 1] on the CPU."""
        assert self.history is not None
        config, device = self.config, device_of(objective.classifier)
        black, white = (image.normalize(torch.full((1, *image.shape), v)) for v in (0.0, 1.0))
        black, white, labels = black.to(device), white.to(device), labels.to(device)
        x_NCHW = start.to(device).clamp(black, white).requires_grad_()
        optimizer = torch.optim.Adam([x_NCHW], config.lr, (config.betas[0], config.betas[1]))
        best, best_loss = x_NCHW.detach().clone(), float("inf")
        for step in range(number * config.steps + 1, (number + 1) * config.steps + 1):
            losses = objective.losses(x_NCHW, self._moved(x_NCHW, rng), labels)
            if losses["total"].item() < best_loss:
                best, best_loss = x_NCHW.detach().clone(), losses["total"].item()
            if self.history.wants(step):
                self.history.add(step, {k: v.detach() for k, v in losses.items()})
            optimizer.zero_grad()
            losses["total"].backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            with torch.no_grad():
                x_NCHW.clamp_(black, white)
        return pixels_of(best, image).cpu()

    def _moved(self, x_NCHW: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
        """The batch, shifted cyclically and mirrored at random as configured."""
        if self.config.jitter:
            reach = self.config.jitter
            down, right = torch.randint(-reach, reach + 1, (2,), generator=rng).tolist()
            x_NCHW = x_NCHW.roll((down, right), dims=(2, 3))
        if self.config.flip and torch.rand(1, generator=rng).item() < 0.5:
            x_NCHW = x_NCHW.flip(3)
        return x_NCHW


class _Objective:
    """What a batch of pixels is measured by."""

    def __init__(
        self,
        config: ImageDistillationConfig,
        classifier: nn.Module,
        match: BNMatch,
        student: nn.Module | None,
    ) -> None:
        self.config, self.classifier, self.match = config, classifier, match
        self.student = student

    def losses(
        self, x_NCHW: torch.Tensor, moved_NCHW: torch.Tensor, labels_N: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        """Each term by itself, and their weighted ``total``.

        Args:
            x_NCHW: Normalised pixels.
            moved_NCHW: The same, shifted and mirrored, as the networks see them.
            labels_N: Labels asked for.
        """
        config = self.config
        logits = self.classifier(moved_NCHW)
        losses = {"ce": functional.cross_entropy(logits, labels_N), "bn": self.match.loss()}
        total = config.ce_weight * losses["ce"] + config.bn_weight * losses["bn"]
        if config.tv_weight:
            losses["tv"] = total_variation(x_NCHW)
            total = total + config.tv_weight * losses["tv"]
        if config.l2_weight:
            losses["l2"] = image_norm(x_NCHW)
            total = total + config.l2_weight * losses["l2"]
        if self.student is not None:
            losses["js"] = js_divergence(logits, self.student(moved_NCHW), config.js_temperature)
            total = total + config.js_weight * (1 - losses["js"])
        return {**losses, "total": total}
