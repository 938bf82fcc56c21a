"""What ``task.video`` needs, checked before the first round."""

from __future__ import annotations

import importlib.util

from fedzda.base import ImageSpec, UserError
from fedzda.vision.hypercon.config import HyperConConfig

_FLOW_SIDE = 12


def check_video(image: ImageSpec, config: HyperConConfig) -> None:
    """Raise UserError if the flow cannot be had, or frames are too small for it.

    Args:
        image: The frames.
        config: ``task.video``.
    """
    if importlib.util.find_spec("cv2") is None:
        raise UserError(
            "task.video needs OpenCV. Run: pip install 'fedzda[vision]', or leave task.video out."
        )
    if min(image.shape[1:]) < _FLOW_SIDE:
        raise UserError(
            f"task.video needs frames of {_FLOW_SIDE} pixels on each side (got "
            f"{image.shape[1]}x{image.shape[2]}). Use larger images, or leave task.video out."
        )
    if config.flow in ("tv-l1", "ilk") and importlib.util.find_spec("skimage") is None:
        raise UserError(
            f"task.video.flow is '{config.flow}', which needs scikit-image. Run: pip install "
            "'fedzda[vision]', or choose 'dis-medium'."
        )
    if config.flow == "raft":
        from fedzda.vision.hypercon.flow import make_flow

        make_flow(config.flow, config.flow_weights)
