"""One call of a model on made-up images, so that a misfit is told before the first round."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from fedzda.base import ImageSpec, UserError

Call = Callable[[nn.Module, torch.Tensor], object]


def answer_shape(
    model: nn.Module,
    image: ImageSpec,
    call: Call,
    given: str,
    advice: str,
) -> tuple[int, ...] | str:
    """What ``model`` gives for two black images in eval mode; its own mode is restored.

    Args:
        model: On any device.
        image: What the images look like.
        call: Calls the model with images ``(2, C, H, W)`` on its device.
        given: Ends the phrase "the model fails on images of shape (C, H, W)", for example
            `` with time steps``.
        advice: A sentence, the way out.

    Returns:
        The shape of a tensor, or the name of another type.

    Raises:
        UserError: The call fails.
    """
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            found = call(model, torch.zeros(2, *image.shape, device=device))
    except Exception as error:
        raise UserError(
            f"the model fails on images of shape {image.shape} (channels, height, width){given}: "
            f"{type(error).__name__}: {error}. {advice}"
        ) from error
    finally:
        model.train(was_training)
    return tuple(found.shape) if isinstance(found, torch.Tensor) else type(found).__name__


def worded(shape: tuple[int, ...] | str) -> str:
    """``shape (2, 10)``, or the type's name."""
    return shape if isinstance(shape, str) else f"shape {shape}"
