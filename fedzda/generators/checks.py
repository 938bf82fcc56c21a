"""What a classifier must be like to be inverted."""

from __future__ import annotations

import torch
from torch import nn

from fedzda.base import ImageSpec, UserError
from fedzda.generators.common import device_of, frozen


def check_classifier(classifier: nn.Module, image: ImageSpec) -> None:
    """Refuse what cannot be inverted; BatchNorm is :class:`BNMatch`'s own check.

    Raises:
        UserError: It is in training mode, ``image`` has a single class, images of that shape do not
            pass through it, or its logits do not fit the classes.
    """
    name = type(classifier).__name__
    if image.num_classes < 2:
        raise UserError(
            f"synthesis needs a classifier of at least 2 classes (got {image.num_classes}): with "
            "one there is nothing to tell apart. Give the number of classes it was trained on."
        )
    if any(module.training for module in classifier.modules()):
        raise UserError(
            f"model {name} is in training mode, in which its BatchNorm statistics would move. Call "
            "model.eval() first."
        )
    blank = image.normalize(torch.zeros(2, *image.shape, device=device_of(classifier)))
    try:
        with torch.no_grad(), frozen(classifier):
            logits = classifier(blank)
    except Exception as error:  # a model may check its input in any way
        reason = str(error).partition("\n")[0].rstrip(".") or type(error).__name__
        raise UserError(
            f"model {name} cannot take images of shape {image.shape} (channels, height, width): "
            f"{reason}. Give the shape it was trained on."
        ) from error
    found = tuple(logits.shape) if isinstance(logits, torch.Tensor) else type(logits).__name__
    if found != (2, image.num_classes):
        raise UserError(
            f"model {name} gives {found} for 2 images: it must give logits of shape "
            f"(2, {image.num_classes}). Give the number of classes it was trained on."
        )
