"""Image distillation: optimise the pixels of a batch until a frozen classifier sees the labels
asked for and its BatchNorm layers see the statistics they stored.

The form of DeepInversion (Yin et al. 2020, arXiv 1912.08795) without a student: Adam on normalised
pixels lowers ``ce_weight * CE + bn_weight * L_BN + tv_weight * TV``. The settings are our choice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional

from fedzda.base import ImageSpec, UserError
from fedzda.generators.bn_match import BNMatch
from fedzda.generators.common import balanced_labels, device_of, frozen, save_state
from fedzda.generators.config import ImageDistillationConfig
from fedzda.generators.quality import assess


class ImageDistillation:
    """A :class:`fedzda.base.Synthesizer` that keeps a pool of optimised images.

    A second ``fit`` for the same classes continues from the pool; for others it starts from noise.
    """

    Config = ImageDistillationConfig

    def __init__(self, config: ImageDistillationConfig) -> None:
        self.config = config
        self.images: torch.Tensor | None = None
        """The pool, ``(N, C, H, W)`` in [0, 1]."""
        self.labels = torch.empty(0, dtype=torch.int64)
        """Labels of the pool, ``(N,)``."""

    def fit(
        self,
        classifier: nn.Module,
        classes: Sequence[int],
        image: ImageSpec,
        rng: torch.Generator,
    ) -> dict[str, float]:
        """Optimise ``batches`` batches for ``steps`` steps each and assess the first.

        Args:
            classifier: Takes normalised images; its weights, buffers and modes are left as found.
            classes: Labels of the pool; every batch holds all of them equally often.
            image: The images it was trained on.
            rng: CPU generator: labels, noise, shifts and mirrorings all come from it.

        Returns:
            The figures of :func:`fedzda.generators.quality.assess`.

        Raises:
            UserError: No class asked for, or a classifier without BatchNorm statistics.
        """
        pixels, labels = self._start(classes, image, rng)
        size = self.config.batch_size
        with frozen(classifier), BNMatch(classifier, self.config.bn) as match:
            done = [
                self._optimise(classifier, match, batch, targets, image, rng)
                for batch, targets in zip(
                    torch.split(pixels, size), torch.split(labels, size), strict=True
                )
            ]
        self.images, self.labels = torch.cat(done), labels
        return assess(classifier, self.images[:size], labels[:size], image, self.config.bn)

    def sample(self, labels: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
        """One image of the pool per label, float32 ``(N, C, H, W)`` in [0, 1].

        Within a call no image of a class comes twice before all of them came once.

        Raises:
            UserError: A label is not in the pool.
        """
        images = self._fitted()
        rows = torch.empty(len(labels), dtype=torch.int64)
        wanted = labels.cpu()
        for label in torch.unique(wanted):
            places = (wanted == label).nonzero()[:, 0]
            stock = (self.labels == label).nonzero()[:, 0]
            if not len(stock):
                raise UserError(
                    f"label {int(label)} is not in the pool of image-distillation (it holds "
                    f"{torch.unique(self.labels).tolist()}). Fit that class first."
                )
            turns = -(-len(places) // len(stock))
            order = [torch.randperm(len(stock), generator=rng) for _ in range(turns)]
            rows[places] = stock[torch.cat(order)[: len(places)]]
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

    def save(self, path: Path, classifier_fingerprint: str = "") -> None:
        """Write :meth:`state` as safetensors, the fingerprint as metadata."""
        save_state(self.state(), path, self.config, classifier_fingerprint)

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
        size = self.config.batch_size
        labels = [balanced_labels(classes, size, rng) for _ in range(self.config.batches)]
        noise = torch.randn(size * self.config.batches, *image.shape, generator=rng)
        return noise, torch.cat(labels)

    def _optimise(
        self,
        classifier: nn.Module,
        match: BNMatch,
        start: torch.Tensor,
        labels: torch.Tensor,
        image: ImageSpec,
        rng: torch.Generator,
    ) -> torch.Tensor:
        """The best iterate of one batch, in [0, 1] on the CPU."""
        device = device_of(classifier)
        black, white = (image.normalize(torch.full((1, *image.shape), v)) for v in (0.0, 1.0))
        black, white, labels = black.to(device), white.to(device), labels.to(device)
        x_NCHW = start.to(device).clamp(black, white).requires_grad_()
        optimizer = torch.optim.Adam([x_NCHW], self.config.lr)
        best, best_loss = x_NCHW.detach().clone(), float("inf")
        for _ in range(self.config.steps):
            logits = classifier(self._moved(x_NCHW, rng))
            loss = self.config.ce_weight * functional.cross_entropy(logits, labels)
            loss = loss + self.config.bn_weight * match.loss()
            loss = loss + self.config.tv_weight * total_variation(x_NCHW)
            if loss.item() < best_loss:
                best, best_loss = x_NCHW.detach().clone(), loss.item()
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            with torch.no_grad():
                x_NCHW.clamp_(black, white)
        mean, std = (best.new_tensor(v).view(1, -1, 1, 1) for v in (image.mean, image.std))
        return (best * std + mean).clamp(0, 1).cpu()

    def _moved(self, x_NCHW: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
        """The batch, shifted cyclically and mirrored at random as configured."""
        if self.config.jitter:
            reach = self.config.jitter
            down, right = torch.randint(-reach, reach + 1, (2,), generator=rng).tolist()
            x_NCHW = x_NCHW.roll((down, right), dims=(2, 3))
        if self.config.flip and torch.rand(1, generator=rng).item() < 0.5:
            x_NCHW = x_NCHW.flip(3)
        return x_NCHW


def total_variation(x_NCHW: torch.Tensor) -> torch.Tensor:
    """Sum of the norms of all differences to the right, lower and two diagonal neighbours."""
    differences = (
        x_NCHW[:, :, :, 1:] - x_NCHW[:, :, :, :-1],
        x_NCHW[:, :, 1:] - x_NCHW[:, :, :-1],
        x_NCHW[:, :, 1:, 1:] - x_NCHW[:, :, :-1, :-1],
        x_NCHW[:, :, 1:, :-1] - x_NCHW[:, :, :-1, 1:],
    )
    return torch.stack([torch.linalg.vector_norm(d) for d in differences]).sum()
