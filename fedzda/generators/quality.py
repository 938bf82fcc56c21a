"""How good synthetic images are, seen from a classifier; and a picture of them."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.nn import functional

from fedzda.base import ImageSpec
from fedzda.generators.bn_match import BNMatch
from fedzda.generators.common import device_of, frozen
from fedzda.generators.config import BNMatchConfig

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


def class_entropy(predicted: torch.Tensor, num_classes: int) -> float:
    """Entropy of the histogram of predicted classes, divided by ``log num_classes``.

    1 for a uniform histogram, 0 if every image is given one class.
    """
    share = torch.bincount(predicted, minlength=num_classes).double() / len(predicted)
    return float(torch.special.entr(share).sum() / math.log(num_classes))


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


def save_sheet(images: torch.Tensor, labels: torch.Tensor, path: Path, columns: int = 10) -> None:
    """Write a PNG with one row per class, in order of the labels, and up to ``columns`` images.

    Args:
        images: ``(N, C, H, W)`` in [0, 1], one or three channels.
        labels: ``(N,)``.
        path: The file to write.
        columns: Images per row; missing ones stay white.
    """
    channels, height, width = images.shape[1:]
    classes = torch.unique(labels)
    gap = 1
    scale = max(1, 48 // height)
    sheet = np.full(
        (len(classes) * (height + gap) + gap, columns * (width + gap) + gap, channels),
        255,
        np.uint8,
    )
    pixels = (images.detach().cpu().clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1).numpy()
    for row, label in enumerate(classes):
        top = gap + row * (height + gap)
        for column, index in enumerate((labels == label).nonzero()[:columns, 0].tolist()):
            left = gap + column * (width + gap)
            sheet[top : top + height, left : left + width] = pixels[index]
    picture = Image.fromarray(sheet[:, :, 0] if channels == 1 else sheet)
    size = (picture.width * scale, picture.height * scale)
    picture.resize(size, Image.Resampling.NEAREST).save(path)
