"""Image models without weights: for tests, examples and comparisons.

Frames are float32 ``(H, W, 3)`` in [0, 1].
"""

from __future__ import annotations

import cv2
import numpy as np

from fedzda.vision.hypercon.arrays import Frame, Hole, to_bytes
from fedzda.vision.hypercon.pipeline import fill

_LEVELS = 5


def posterise(frame: Frame) -> Frame:
    """Six levels per channel."""
    return np.asarray(np.round(_LEVELS * frame) / _LEVELS, np.float32)


def equalise(frame: Frame) -> Frame:
    """Equalised histogram of luma, then :func:`posterise`."""
    luma = cv2.cvtColor(to_bytes(frame), cv2.COLOR_RGB2YCrCb)
    luma[:, :, 0] = cv2.equalizeHist(luma[:, :, 0])
    colours = np.asarray(cv2.cvtColor(luma, cv2.COLOR_YCrCb2RGB), np.float32)
    return posterise(colours / np.float32(255))


def bilateral(frame: Frame) -> Frame:
    """Edge-preserving smoothing against noise: diameter 7, sigma 40 in colour and 3 in space."""
    smooth = cv2.bilateralFilter(to_bytes(frame), 7, 40, 3)
    return np.asarray(smooth, np.float32) / np.float32(255)


def telea(frame: Frame, hole: Hole) -> Frame:
    """Holes filled from their border (Telea 2004)."""
    return fill(frame, hole)
