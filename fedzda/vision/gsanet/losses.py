"""Cross entropy over pixels: void pixels left out, classes weighed, hard pixels only by option.

N images, H height, W width, K classes.
"""

from __future__ import annotations

import torch
from torch.nn import functional


def segmentation_loss(
    logits_NKHW: torch.Tensor,
    truth_NHW: torch.Tensor,
    void: int,
    class_weights_K: torch.Tensor | None = None,
    ohem_threshold: float | None = None,
    ohem_min_share: float = 0.0,
) -> torch.Tensor:
    """Mean cross entropy in nats over labelled pixels; 0 if there are none.

    Args:
        logits_NKHW: Unnormalised log-probabilities.
        truth_NHW: Classes ``0 .. K - 1`` or ``void``, any integer type.
        void: Mark of pixels that count nowhere.
        class_weights_K: Weight of each class's pixels; the mean is weighted by them.
        ohem_threshold: Online hard example mining: keep pixels whose true class has a smaller
            probability than this (Wu, Shen & van den Hengel 2016, arXiv 1604.04339).
        ohem_min_share: Smallest share of the labelled pixels that is kept, the hardest first.
    """
    truth = truth_NHW.long()
    loss = functional.cross_entropy(logits_NKHW, truth, ignore_index=void, reduction="none")
    kept = truth != void
    if ohem_threshold is not None:
        kept = kept & _hard(loss.detach(), kept, ohem_threshold, ohem_min_share)
    weight = kept.to(loss.dtype)
    if class_weights_K is not None:
        weight = weight * class_weights_K[torch.where(kept, truth, 0)]
    total = weight.sum()
    return (loss * weight).sum() / torch.where(total > 0, total, 1.0)


def _hard(
    loss_NHW: torch.Tensor, labelled_NHW: torch.Tensor, threshold: float, min_share: float
) -> torch.Tensor:
    """Pixels to keep: by probability, and at least the hardest ``min_share`` of the labelled."""
    hard = torch.exp(-loss_NHW) < threshold
    wanted = int(-(-min_share * int(labelled_NHW.sum()) // 1))
    if int((hard & labelled_NHW).sum()) >= wanted:
        return hard
    limit = loss_NHW[labelled_NHW].topk(wanted).values[-1]
    return hard | (loss_NHW >= limit)


def median_frequency_weights(pixels_NK: torch.Tensor) -> torch.Tensor:
    """Class weights ``(K,)``: median of the class frequencies over the class's own.

    The frequency of a class is its share of the labelled pixels of the images that contain it
    (Eigen & Fergus 2015, arXiv 1411.4734, section 6.3.2). A class that no image contains gets 0.

    Args:
        pixels_NK: Pixels of each class in each image.
    """
    pixels = pixels_NK.double()
    labelled = pixels.sum(dim=1, keepdim=True)
    frequency = pixels.sum(0) / (labelled * (pixels > 0)).sum(0)
    median = frequency.nanquantile(0.5)
    return torch.where(pixels.sum(0) > 0, median / frequency, 0.0)
