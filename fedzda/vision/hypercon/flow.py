"""Optical flow behind one interface: ``flow(first, second)`` on 8-bit RGB frames.

DIS: Kroeger et al. 2016 (arXiv 1603.03590). Farneback 2003. TV-L1: Zach et al. 2007. iLK: Le
Besnerais & Champagnat 2005. RAFT: Teed & Deng 2020 (arXiv 2003.12039). Convention: see
``arrays.py``.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import cv2
import numpy as np

from fedzda.base import UserError
from fedzda.vision.hypercon.arrays import Flow, Pixels
from fedzda.vision.hypercon.config import FlowName

FlowMethod = Callable[[Pixels, Pixels], Flow]
"""Takes two frames ``(H, W, 3)``, returns ``(H, W, 2)``."""

_DIS_SIDE = 12
_PRESETS = {
    "dis-ultrafast": cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST,
    "dis-fast": cv2.DISOPTICAL_FLOW_PRESET_FAST,
    "dis-medium": cv2.DISOPTICAL_FLOW_PRESET_MEDIUM,
}


def make_flow(name: FlowName, weights: str | None = None) -> FlowMethod:
    """A flow method by name.

    Args:
        name: See :data:`fedzda.vision.hypercon.config.FlowName`.
        weights: Of ``raft``: a safetensors file with the state dict of ``raft_small``.

    Raises:
        UserError: ``raft`` without torchvision or without weights.
    """
    if name in _PRESETS:
        return partial(dis, preset=_PRESETS[name])
    if name == "raft":
        from fedzda.vision.hypercon.raft import Raft

        return Raft(weights)
    return {"farneback": farneback, "tv-l1": tv_l1, "ilk": ilk, "zero": zero}[name]


def dis(first: Pixels, second: Pixels, preset: int = cv2.DISOPTICAL_FLOW_PRESET_MEDIUM) -> Flow:
    """Dense inverse search, of OpenCV.

    Raises:
        UserError: A side is shorter than 12 pixels.
    """
    if min(first.shape[:2]) < _DIS_SIDE:
        raise UserError(
            f"flow 'dis' needs frames of at least {_DIS_SIDE} pixels on each side (got "
            f"{first.shape[1]}x{first.shape[0]}). Choose flow=farneback, or larger frames."
        )
    method = cv2.DISOpticalFlow_create(preset)  # type: ignore[attr-defined]
    found = method.calc(_grey(first), _grey(second), None)
    return np.asarray(found, dtype=np.float32)


def farneback(first: Pixels, second: Pixels) -> Flow:
    """Polynomial expansion, of OpenCV, five levels of half the size."""
    start = np.zeros((*first.shape[:2], 2), np.float32)
    found = cv2.calcOpticalFlowFarneback(
        _grey(first), _grey(second), start, 0.5, 5, 15, 3, 5, 1.2, 0
    )
    return np.asarray(found, dtype=np.float32)


def tv_l1(first: Pixels, second: Pixels) -> Flow:
    """Total variation and absolute differences, of scikit-image; seconds per frame."""
    from skimage.registration import optical_flow_tvl1

    pair = _unit(first), _unit(second)
    return _columns_first(optical_flow_tvl1(*pair, dtype=np.float32))  # type: ignore[no-untyped-call]


def ilk(first: Pixels, second: Pixels) -> Flow:
    """Iterative Lucas-Kanade, of scikit-image."""
    from skimage.registration import optical_flow_ilk

    pair = _unit(first), _unit(second)
    return _columns_first(optical_flow_ilk(*pair, dtype=np.float32))  # type: ignore[no-untyped-call]


def zero(first: Pixels, _second: Pixels) -> Flow:
    """No motion."""
    return np.zeros((*first.shape[:2], 2), np.float32)


def _columns_first(flow_2HW: Flow) -> Flow:
    """scikit-image gives rows first, and axes first."""
    return np.ascontiguousarray(flow_2HW[::-1].transpose(1, 2, 0), dtype=np.float32)


def _grey(frame: Pixels) -> Pixels:
    return np.asarray(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), np.uint8)


def _unit(frame: Pixels) -> Flow:
    return np.asarray(_grey(frame) / np.float32(255), np.float32)
