"""Has a generator collapsed: onto a few classes, or onto a few images?"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from typing import Literal

import torch
from torch import nn

from fedzda.base import ImageSpec, RunError
from fedzda.generators.features import logits_and_features

_LOG = logging.getLogger(__name__)

LOW_ENTROPY = 0.5
"""Share of the largest entropy of predicted classes below which images count as collapsed."""
LOW_SPREAD = 0.1
"""Nearest-neighbour distance, as a share of the mean distance, below which they do (our choice;
0.5 to 0.8 is usual for real images)."""


def class_entropy(predicted: torch.Tensor, num_classes: int) -> float:
    """Entropy of the histogram of predicted classes, divided by ``log num_classes``.

    1 for a uniform histogram, 0 if every image is given one class.
    """
    share = torch.bincount(predicted, minlength=num_classes).double() / len(predicted)
    return float(torch.special.entr(share).sum() / math.log(num_classes))


def reached_entropy(predicted: torch.Tensor, num_classes: int) -> float:
    """The same as a share of what so many images can reach: fewer images than classes cannot hold
    them all. NaN for a single image."""
    if len(predicted) < 2:
        return math.nan
    largest = math.log(min(num_classes, len(predicted)))
    return class_entropy(predicted, num_classes) * math.log(num_classes) / largest


def nearest_spread(rows_ND: torch.Tensor, labels: torch.Tensor) -> float:
    """Mean distance to the nearest other row of the same class, over the mean distance of all rows.

    Near 0 if the rows of a class are copies of few; NaN if no class has two rows.
    """
    distances = torch.cdist(rows_ND.double(), rows_ND.double())
    count = len(distances)
    mean = float(distances.sum()) / max(1, count * (count - 1))
    distances = distances.masked_fill(labels[:, None] != labels[None], math.inf)
    distances.fill_diagonal_(math.inf)
    nearest = distances.min(dim=1).values
    nearest = nearest[nearest.isfinite()]
    if not len(nearest):
        return math.nan
    return float(nearest.mean()) / mean if mean > 0 else 0.0


def collapse_figures(
    classifier: nn.Module, images: torch.Tensor, labels: torch.Tensor, image: ImageSpec
) -> dict[str, float]:
    """How varied images are.

    Args:
        classifier: Whose predictions and last features count.
        images: ``(N, C, H, W)`` in [0, 1]; a few hundred, since all pairs are compared.
        labels: The labels they were made for, ``(N,)``.
        image: The images the classifier was trained on.

    Returns:
        ``class_entropy`` in [0, 1], see :func:`reached_entropy`; ``pixel_spread`` and
        ``feature_spread``, see :func:`nearest_spread`.
    """
    logits, features = logits_and_features(classifier, images, image)
    return {
        "class_entropy": reached_entropy(logits.argmax(dim=1), image.num_classes),
        "pixel_spread": nearest_spread(images.flatten(1), labels),
        "feature_spread": nearest_spread(features, labels),
    }


def collapse_warnings(figures: Mapping[str, float]) -> list[str]:
    """One sentence per figure of :func:`collapse_figures` that is too low; none if all is well."""
    found = []
    if figures["class_entropy"] < LOW_ENTROPY:
        found.append(
            f"the classes predicted for the images have {figures['class_entropy']:.2f} of the "
            f"largest entropy (below {LOW_ENTROPY:g}): most images are taken for few classes. "
            "Train longer, or raise the weight of the labels."
        )
    for where in ("pixel", "feature"):
        spread = figures[f"{where}_spread"]
        if spread < LOW_SPREAD:
            found.append(
                f"the nearest image of a class is at {spread:.2f} of the mean {where} distance "
                f"(below {LOW_SPREAD:g}): the images of a class are copies of few. Raise the "
                "weight of diversity or the batch size, or keep a larger pool (more batches)."
            )
    return found


class CollapseDetector:
    """Watches the classes that a generator's batches are taken for, step by step.

    Args:
        name: What messages call the generator.
        num_classes: Number of classes.
        entropy: Share of the largest entropy that counts as collapsed.
        steps: After so many steps in a row below it.
        action: ``fail`` raises, ``warn`` writes to the log, once per collapse.
    """

    def __init__(
        self,
        name: str,
        num_classes: int,
        entropy: float,
        steps: int,
        action: Literal["fail", "warn"],
    ) -> None:
        self.name, self.num_classes = name, num_classes
        self.entropy, self.steps, self.action = entropy, steps, action
        self.below = 0

    def see(self, predicted: torch.Tensor) -> float:
        """Take in one batch's predicted classes ``(N,)``; returns its share of the largest entropy,
        see :func:`reached_entropy`.

        Raises:
            RunError: Collapsed, and ``action`` is ``fail``.
        """
        share = reached_entropy(predicted, self.num_classes)
        self.below = self.below + 1 if share < self.entropy else 0
        if self.below == self.steps:
            counts = torch.bincount(predicted, minlength=self.num_classes)
            sentence = (
                f"{self.name} has collapsed: for {self.steps} steps the classes of its images had "
                f"less than {self.entropy:g} of the largest entropy (now {share:.2f}; class "
                f"{int(counts.argmax())} has {int(counts.max())} of {len(predicted)}). Raise alpha "
                "or batch_entropy_weight, lower generator_lr, or set on_collapse: warn."
            )
            if self.action == "fail":
                raise RunError(sentence)
            _LOG.warning(sentence)
        return share
