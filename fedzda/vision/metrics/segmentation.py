"""Segmentation metrics from confusion matrices and boundary counts, which add up over images.

The metric of a federation comes from the sum over its clients; the mean of the clients' metrics is
another number.

N images, H height, W width, K classes. Pixels of the truth marked ``void`` count nowhere.
"""

from __future__ import annotations

import torch
from torch.nn import functional


def confusion(
    prediction_NHW: torch.Tensor, truth_NHW: torch.Tensor, num_classes: int, void: int
) -> torch.Tensor:
    """Pixels of every image by true class (row) and predicted class (column).

    Args:
        prediction_NHW: Classes ``0 .. K - 1``.
        truth_NHW: Classes ``0 .. K - 1`` or ``void``.
        num_classes: K.
        void: Mark of pixels without a class.

    Returns:
        Float64 ``(N, K, K)``.
    """
    n, cells = len(truth_NHW), num_classes * num_classes
    truth, prediction = truth_NHW.long(), prediction_NHW.long()
    image = torch.arange(n, device=truth.device).view(-1, 1, 1) * cells
    index = image + truth * num_classes + prediction
    counts = torch.bincount(index[truth != void], minlength=n * cells)
    return counts.view(n, num_classes, num_classes).double()


def iou(confusion_KK: torch.Tensor) -> torch.Tensor:
    """Intersection over union of every class ``(K,)`` in [0, 1].

    NaN for a class that neither truth nor prediction has.
    """
    hits = confusion_KK.diagonal()
    return hits / (confusion_KK.sum(0) + confusion_KK.sum(1) - hits)


def recall(confusion_KK: torch.Tensor) -> torch.Tensor:
    """Share of each class's pixels that are found ``(K,)`` in [0, 1]; NaN for an absent class."""
    return confusion_KK.diagonal() / confusion_KK.sum(1)


def mean_iou(confusion_KK: torch.Tensor) -> torch.Tensor:
    """Mean of :func:`iou` over classes that exist; NaN if all pixels are void."""
    return iou(confusion_KK).nanmean()


def pixel_accuracy(confusion_KK: torch.Tensor) -> torch.Tensor:
    """Share of labelled pixels that are right; NaN if all pixels are void."""
    return confusion_KK.diagonal().sum() / confusion_KK.sum()


def class_accuracy(confusion_KK: torch.Tensor) -> torch.Tensor:
    """Mean of :func:`recall` over classes that exist; NaN if all pixels are void."""
    return recall(confusion_KK).nanmean()


# ---------------------------------------------------------------------------------------------
# Boundaries


def boundary_counts(
    prediction_NHW: torch.Tensor,
    truth_NHW: torch.Tensor,
    num_classes: int,
    void: int,
    radius: int = 2,
) -> torch.Tensor:
    """What :func:`boundary_f` is computed from.

    A boundary pixel of a class has a neighbour (left, right, above, below) of another class that is
    not void. The prediction counts as void where the truth is. A pixel is matched if a boundary
    pixel of the same class in the other map is at most ``radius`` columns and rows away.

    Args:
        prediction_NHW: Classes ``0 .. K - 1``.
        truth_NHW: Classes ``0 .. K - 1`` or ``void``.
        num_classes: K.
        void: Mark of pixels without a class.
        radius: Tolerance in pixels; 2 is our choice.

    Returns:
        Float64 ``(N, K, 4)``: matched and all boundary pixels of the prediction, then of the truth.
    """
    truth = truth_NHW.long()
    prediction = torch.where(truth == void, void, prediction_NHW.long())
    edges = [_edges(labels, void) for labels in (prediction, truth)]
    counts = truth.new_zeros((len(truth), num_classes, 4), dtype=torch.float64)
    for label in range(num_classes):
        found, true = ((m == label) & e for m, e in zip((prediction, truth), edges, strict=True))
        for place, (own, other) in enumerate(((found, true), (true, found))):
            counts[:, label, 2 * place] = (own & _grown(other, radius)).sum(dim=(1, 2))
            counts[:, label, 2 * place + 1] = own.sum(dim=(1, 2))
    return counts


def boundary_f(counts_K4: torch.Tensor) -> torch.Tensor:
    """Boundary F of every class ``(K,)`` in [0, 1], from summed :func:`boundary_counts`.

    The harmonic mean of the matched shares of predicted and true boundary pixels; NaN for a class
    without a boundary in either map, 0 for one without a boundary in one of them.
    """
    precision = counts_K4[:, 0] / counts_K4[:, 1].clamp(min=1)
    sensitivity = counts_K4[:, 2] / counts_K4[:, 3].clamp(min=1)
    total = precision + sensitivity
    score = torch.where(total > 0, 2 * precision * sensitivity / total, 0.0)
    exists = counts_K4[:, 1] + counts_K4[:, 3] > 0
    return torch.where(exists, score, torch.nan)


def _edges(labels_NHW: torch.Tensor, void: int) -> torch.Tensor:
    """Pixels with a neighbour of another class."""
    edges = torch.zeros_like(labels_NHW, dtype=torch.bool)
    for dim in (1, 2):
        size = labels_NHW.shape[dim] - 1
        first, second = labels_NHW.narrow(dim, 0, size), labels_NHW.narrow(dim, 1, size)
        differs = (first != second) & (first != void) & (second != void)
        edges.narrow(dim, 0, size).logical_or_(differs)
        edges.narrow(dim, 1, size).logical_or_(differs)
    return edges


def _grown(mask_NHW: torch.Tensor, radius: int) -> torch.Tensor:
    """The mask and all pixels within ``radius`` columns and rows of it."""
    grown = functional.max_pool2d(mask_NHW.float(), 2 * radius + 1, stride=1, padding=radius)
    return grown > 0
