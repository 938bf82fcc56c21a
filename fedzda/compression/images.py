"""Images that calibrate and train a quantized model: a pool of tensors, or a function that makes
them. Pixels are in [0, 1]; labels are optional and are those the images were made for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch

from fedzda.base import ImageSpec, UserError


@dataclass(frozen=True)
class Images:
    """A batch or a pool.

    Attributes:
        pixels: ``(N, C, H, W)`` float32 in [0, 1], not normalised.
        labels: ``(N,)`` int64, or None.
    """

    pixels: torch.Tensor
    labels: torch.Tensor | None = None


Sampler = Callable[[int, torch.Generator], Images]
"""Makes that many fresh images."""
Source = torch.Tensor | Images | Sampler
"""Pixels, pixels with labels, or a sampler."""


class Feed:
    """Draws from a source, and checks what it gives.

    Args:
        source: A pool is drawn without repetition until it is used up, then again.
        image: The images the model was trained on.
        rng: CPU generator of all draws.

    Raises:
        UserError: Empty pool, wrong shape, pixels outside [0, 1], or labels that do not fit.
    """

    def __init__(self, source: Source, image: ImageSpec, rng: torch.Generator) -> None:
        pool = Images(source) if isinstance(source, torch.Tensor) else source
        self._sampler = None if isinstance(pool, Images) else pool
        self._pool = pool if isinstance(pool, Images) else None
        self._image, self._rng = image, rng
        self._order = torch.empty(0, dtype=torch.int64)
        if self._pool is not None:
            _check(self._pool, image)

    def draw(self, count: int) -> Images:
        """``count`` images, from a pool exactly as many as it has left to fill up."""
        if self._sampler is not None:
            images = self._sampler(count, self._rng)
            _check(images, self._image)
            return images
        assert self._pool is not None
        while len(self._order) < count:
            fresh = torch.randperm(len(self._pool.pixels), generator=self._rng)
            self._order = torch.cat([self._order, fresh])
        rows, self._order = self._order[:count], self._order[count:]
        labels = self._pool.labels
        return Images(self._pool.pixels[rows], None if labels is None else labels[rows])

    def draw_once(self, count: int) -> torch.Tensor:
        """Normalised images without repetition: ``count``, or the pool if it is smaller."""
        if self._pool is not None:
            count = min(count, len(self._pool.pixels))
            self._order = self._order[:0]
        return self._image.normalize(self.draw(count).pixels)

    def labels_around(self, images: Images) -> torch.Tensor | None:
        """Labels of the pool that ``images`` come from; of a sampler, those of ``images``."""
        return images.labels if self._pool is None else self._pool.labels

    def normalize(self, images: Images) -> torch.Tensor:
        """What the model sees."""
        return self._image.normalize(images.pixels)


def batches(images: torch.Tensor, batch_size: int, device: torch.device) -> Iterator[torch.Tensor]:
    """Consecutive parts of ``images`` on ``device``."""
    for part in torch.split(images, batch_size):
        yield part.to(device)


def _check(images: Images, image: ImageSpec) -> None:
    pixels, labels = images.pixels, images.labels
    if pixels.dim() != 4 or tuple(pixels.shape[1:]) != image.shape:
        raise UserError(
            f"images for quantization must have shape (N, {', '.join(map(str, image.shape))}), as "
            f"the model takes them (got {tuple(pixels.shape)}). Resize them, or give the shape the "
            "model was trained on."
        )
    if not len(pixels):
        raise UserError("quantization needs at least one image (got none). Give images.")
    if not pixels.is_floating_point() or pixels.min() < 0 or pixels.max() > 1:
        raise UserError(
            "images for quantization must be float pixels in [0, 1] before normalisation (got "
            f"{pixels.dtype}, {float(pixels.min()):.3g} to {float(pixels.max()):.3g}). Scale "
            "them; the model's own mean and std are applied afterwards."
        )
    if labels is None:
        return
    if labels.shape != pixels.shape[:1] or labels.min() < 0 or labels.max() >= image.num_classes:
        raise UserError(
            f"labels must be one number from 0 to {image.num_classes - 1} per image (got shape "
            f"{tuple(labels.shape)}, {int(labels.min())} to {int(labels.max())})."
        )
