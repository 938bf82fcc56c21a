"""One frame through the image model, with the checks that a stranger's model needs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fedzda.base import UserError
from fedzda.vision.hypercon.arrays import Frame, Hole

ImageModel = Callable[..., Any]
"""``model(frame)``, or ``model(frame, hole)`` on masked clips: a frame, float ``(H, W, 3)``. What a
frame shows inside its hole is filled in from around it and means nothing."""


def translate(
    model: ImageModel, frame: Frame, hole: Hole | None, moment: float, scale: int = 1
) -> Frame:
    """What the image model makes of a frame.

    Args:
        model: The image model.
        frame: ``(H, W, 3)``.
        hole: Of a masked clip.
        moment: Number of the frame, for errors; inserted ones lie between whole numbers.
        scale: The result is so many times larger.

    Raises:
        UserError: The result has another shape, or values that are not finite.
    """
    found = np.asarray(model(frame) if hole is None else model(frame, hole))
    wanted = (frame.shape[0] * scale, frame.shape[1] * scale, 3)
    if found.shape != wanted:
        raise UserError(
            f"the image model gives shape {found.shape} for frame {moment:g}, but must give "
            f"{wanted}. A model that enlarges needs scale=N with N the whole factor."
        )
    if found.dtype == np.uint8:
        return np.asarray(found / np.float32(255), np.float32)
    if not np.isfinite(found).all():
        raise UserError(
            f"the image model gives values that are not finite for frame {moment:g} "
            f"({int((~np.isfinite(found)).sum())} of {found.size}). Check its weights and the "
            "range of its input: pixels are in [0, 1]."
        )
    return np.asarray(found, np.float32)
