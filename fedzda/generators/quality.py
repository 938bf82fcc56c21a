"""How good synthetic images are, seen from classifiers; real images and noise beside them."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from fedzda.base import ImageSpec
from fedzda.generators.bn_match import BNMatch
from fedzda.generators.collapse import class_entropy, nearest_spread
from fedzda.generators.common import device_of, frozen
from fedzda.generators.config import BNMatchConfig
from fedzda.generators.features import coverage, frechet_distance, logits_and_features

_BATCH_SIZE = 256


@torch.no_grad()
def logits_of(classifier: nn.Module, images: torch.Tensor, image: ImageSpec) -> torch.Tensor:
    """Logits ``(N, classes)`` on the CPU of images in [0, 1], the classifier in eval mode."""
    device = device_of(classifier)
    with frozen(classifier):
        parts = torch.split(images, _BATCH_SIZE)
        return torch.cat([classifier(image.normalize(part.to(device))).cpu() for part in parts])


def agreement(
    classifier: nn.Module, images: torch.Tensor, labels: torch.Tensor, image: ImageSpec
) -> float:
    """Share of images, in [0, 1], that the classifier gives their label."""
    predicted = logits_of(classifier, images, image).argmax(dim=1)
    return float((predicted == labels.cpu()).double().mean())


def within_class_distance(images: torch.Tensor, labels: torch.Tensor) -> float:
    """Mean Euclidean pixel distance of pairs of one class, averaged over classes.

    Near 0 if the images of a class have collapsed; NaN if no class has two images.
    """
    distances = []
    for label in torch.unique(labels):
        rows = images[labels == label].flatten(1).double()
        if len(rows) > 1:
            distances.append(float(functional.pdist(rows).mean()))
    return float(np.mean(distances)) if distances else math.nan


def assess(
    classifier: nn.Module,
    images: torch.Tensor,
    labels: torch.Tensor,
    image: ImageSpec,
    bn: BNMatchConfig,
) -> dict[str, float]:
    """The figures of a fit.

    Args:
        classifier: The inverted classifier.
        images: ``(N, C, H, W)`` in [0, 1], measured as one batch.
        labels: The labels they were made for, ``(N,)``.
        image: The images the classifier was trained on.
        bn: The distance to its BatchNorm statistics.

    Returns:
        ``agreement`` in [0, 1], ``bn_loss``, ``ce_loss`` in nats, ``class_entropy`` in [0, 1] and
        ``within_class_distance``.
    """
    device = device_of(classifier)
    with torch.no_grad(), frozen(classifier), BNMatch(classifier, bn) as match:
        logits = classifier(image.normalize(images.to(device))).cpu()
        bn_loss = float(match.loss())
    predicted = logits.argmax(dim=1)
    return {
        "agreement": float((predicted == labels.cpu()).double().mean()),
        "bn_loss": bn_loss,
        "ce_loss": float(functional.cross_entropy(logits, labels.cpu())),
        "class_entropy": class_entropy(predicted, image.num_classes),
        "within_class_distance": within_class_distance(images, labels),
    }


Images = tuple[torch.Tensor, torch.Tensor]
"""Images ``(N, C, H, W)`` in [0, 1] and their labels ``(N,)``."""


def compare_quality(
    judge: nn.Module,
    sets: Mapping[str, Images],
    image: ImageSpec,
    reference: torch.Tensor | None = None,
) -> list[dict[str, float | str]]:
    """One row of figures for each set of images, for example made ones, real ones and noise.

    Args:
        judge: A classifier that the images were not made from, with logits and features.
        sets: Images by name. Sets of one size only compare fairly.
        image: The images ``judge`` was trained on.
        reference: Real images that none of the sets holds, ``(M, C, H, W)`` in [0, 1], as many as
            a set has; None if there are none.

    Returns:
        Per set ``set``, ``images`` (their number), ``agreement`` of the judge with the labels,
        ``class_entropy``, ``pixel_spread`` and ``feature_spread`` (see ``collapse``), and with a
        reference ``frechet`` (0 is best) and ``coverage`` (1 is best) in the judge's features.
    """
    real = None if reference is None else logits_and_features(judge, reference, image)[1]
    rows: list[dict[str, float | str]] = []
    for name, (images, labels) in sets.items():
        logits, features = logits_and_features(judge, images, image)
        predicted = logits.argmax(dim=1)
        row: dict[str, float | str] = {
            "set": name,
            "images": len(images),
            "agreement": float((predicted == labels.cpu()).double().mean()),
            "class_entropy": class_entropy(predicted, image.num_classes),
            "pixel_spread": nearest_spread(images.flatten(1), labels),
            "feature_spread": nearest_spread(features, labels),
        }
        if real is not None:
            row["frechet"] = frechet_distance(real, features)
            row["coverage"] = coverage(real, features)
        rows.append(row)
    return rows
