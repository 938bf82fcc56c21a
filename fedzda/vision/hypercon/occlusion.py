"""Which pixels of one frame can be seen in the other.

The rule of Sundaram, Brox & Keutzer 2010 with the thresholds of public evaluation code
(MichiganCOG/video-inpainting-evaluation, phoenix104104/fast_blind_video_consistency).
"""

from __future__ import annotations

import cv2
import numpy as np

from fedzda.vision.hypercon.arrays import Flow, Hole, Pixels, Weight
from fedzda.vision.hypercon.warp import in_view, warp


def occluded(forward_HW2: Flow, backward_HW2: Flow) -> Hole:
    """Pixels of the first frame that the second does not show, or that lie at a motion border.

    Args:
        forward_HW2: First to second frame.
        backward_HW2: Second to first frame.
    """
    return disagreement(forward_HW2, backward_HW2) | motion_border(forward_HW2)


def disagreement(forward_HW2: Flow, backward_HW2: Flow) -> Hole:
    """``|F + B|^2 > .01 (|F|^2 + |B|^2) + .5`` with the backward flow B where F points."""
    back = warp(backward_HW2, forward_HW2)
    size = _square(forward_HW2) + _square(back)
    return np.asarray(_square(forward_HW2 + back) > 0.01 * size + 0.5)


def motion_border(flow_HW2: Flow) -> Hole:
    """``|grad u|^2 + |grad v|^2 > .01 |F|^2 + .002``, forward differences, 0 at the far sides."""
    change = np.zeros(flow_HW2.shape[:2], np.float32)
    change[:, :-1] += _square(np.diff(flow_HW2, axis=1))
    change[:-1] += _square(np.diff(flow_HW2, axis=0))
    return np.asarray(change > 0.01 * _square(flow_HW2) + 0.002)


def visible(forward_HW2: Flow, backward_HW2: Flow) -> Hole:
    """Pixels that are in view and not :func:`occluded`."""
    return (in_view(forward_HW2) > 0) & ~occluded(forward_HW2, backward_HW2)


def likeness(first: Pixels, second: Pixels, flow_HW2: Flow, scale: float, blur: float) -> Weight:
    """``exp(-scale * d)`` in [0, 1], d the squared difference of blurred colours in [0, 1].

    Args:
        first: 8-bit frame ``(H, W, 3)``.
        second: The frame that the flow points at.
        flow_HW2: First to second.
        scale: See above.
        blur: Standard deviation in pixels.
    """
    gap = (first.astype(np.float32) - warp(second, flow_HW2)) / 255
    smooth = cv2.GaussianBlur(gap, (0, 0), blur)
    return np.asarray(np.exp(-scale * _square(np.asarray(smooth))), dtype=np.float32)


def _square(vectors_HWC: Flow) -> Weight:
    return np.asarray(np.square(vectors_HWC).sum(axis=-1), dtype=np.float32)
