"""What ``task.video`` needs, checked before the first round."""

from __future__ import annotations

import importlib.util

from fedzda.base import ImageSpec, UserError

_FLOW_SIDE = 12


def check_video(image: ImageSpec) -> None:
    """Raise UserError without OpenCV, or for frames that are too small for optical flow."""
    if importlib.util.find_spec("cv2") is None:
        raise UserError(
            "task.video needs OpenCV. Run: pip install 'fedzda[vision]', or leave task.video out."
        )
    if min(image.shape[1:]) < _FLOW_SIDE:
        raise UserError(
            f"task.video needs frames of {_FLOW_SIDE} pixels on each side (got "
            f"{image.shape[1]}x{image.shape[2]}). Use larger images, or leave task.video out."
        )
