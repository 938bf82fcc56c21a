"""Images in the eyes of a classifier: its last features, and distances between sets of them.

Frechet distance: Heusel et al. 2017 (arXiv 1706.08500), in the features of any classifier.
Coverage: Naeem et al. 2020 (arXiv 2002.09797), section 3.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from fedzda.base import ImageSpec
from fedzda.generators.common import device_of, frozen

_BATCH_SIZE = 256

Matrix = npt.NDArray[np.float64]


class LastFeatures:
    """The input of the linear layer that a model called last; None before any call."""

    def __init__(self) -> None:
        self.value: torch.Tensor | None = None

    def read(self, _layer: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        """A forward pre-hook."""
        self.value = inputs[0]


@contextmanager
def last_features(model: nn.Module) -> Iterator[LastFeatures]:
    """Watch the linear layers of ``model``: what enters the last one are its last features."""
    seen = LastFeatures()
    layers = [module for module in model.modules() if isinstance(module, nn.Linear)]
    handles = [layer.register_forward_pre_hook(seen.read) for layer in layers]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


@torch.no_grad()
def logits_and_features(
    classifier: nn.Module, images: torch.Tensor, image: ImageSpec
) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits ``(N, classes)`` and last features ``(N, D)`` of images in [0, 1], on the CPU.

    A model without linear layers has its logits as features.
    """
    device = device_of(classifier)
    logits, features = [], []
    with frozen(classifier), last_features(classifier) as seen:
        for part in torch.split(images, _BATCH_SIZE):
            logits.append(classifier(image.normalize(part.to(device))).cpu())
            features.append(logits[-1] if seen.value is None else seen.value.flatten(1).cpu())
    return torch.cat(logits), torch.cat(features)


def frechet_distance(first_ND: torch.Tensor, second_MD: torch.Tensor) -> float:
    """Squared Frechet distance of two sets of features, each seen as one Gaussian.

    Biased upwards for small sets, so compare sets of equal size only; below D + 1 vectors the
    covariance is singular, which the square root by eigenvalues stands.
    """
    mean_1, cov_1 = _moments(first_ND)
    mean_2, cov_2 = _moments(second_MD)
    root = _square_root(cov_1)
    both = _square_root(root @ cov_2 @ root)
    gap = float(np.square(mean_1 - mean_2).sum())
    return gap + float(np.trace(cov_1) + np.trace(cov_2) - 2 * np.trace(both))


def coverage(real_ND: torch.Tensor, made_MD: torch.Tensor, neighbours: int = 5) -> float:
    """Share of real vectors, in [0, 1], that have a made one within their neighbourhood.

    A neighbourhood reaches as far as the ``neighbours``-th nearest other real vector. Another
    sample of the real distribution, of equal size, covers ``1 - 2**-neighbours`` on average. NaN
    for fewer than two real vectors.
    """
    if len(real_ND) < 2:
        return math.nan
    real, made = real_ND.double(), made_MD.double()
    among_real = torch.cdist(real, real)
    among_real.fill_diagonal_(float("inf"))
    neighbours = min(neighbours, len(real) - 1)
    radius = among_real.kthvalue(neighbours, dim=1).values
    return float((torch.cdist(real, made).min(dim=1).values <= radius).double().mean())


def _moments(features: torch.Tensor) -> tuple[Matrix, Matrix]:
    rows = features.double().numpy()
    centred = rows - rows.mean(axis=0)
    return rows.mean(axis=0), centred.T @ centred / max(1, len(rows) - 1)


def _square_root(matrix: Matrix) -> Matrix:
    """Of a symmetric positive matrix; negative eigenvalues are rounding."""
    values, vectors = np.linalg.eigh((matrix + matrix.T) / 2)
    root: Matrix = (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T
    return root
