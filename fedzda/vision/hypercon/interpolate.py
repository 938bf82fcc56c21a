"""Frames between two frames, by combining both flows (Jiang et al. 2018, arXiv 1712.00080, sec. 3).

With s the moment between the frames, 0 to 1, and F01, F10 their flows,
``F_s0 = -(1-s) s F01 + s^2 F10`` and ``F_s1 = (1-s)^2 F01 - s (1-s) F10``; the frame is
``(1-s) warp(I0, F_s0) + s warp(I1, F_s1)``. Equal visibility of both frames is our choice.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np

from fedzda.vision.hypercon.arrays import Flow, Frame, Hole, to_bytes
from fedzda.vision.hypercon.flow import FlowMethod
from fedzda.vision.hypercon.warp import warp

_KNOWN_FROM = 1 - 1e-3
"""Any mixture of known and hole is hole."""


class Between(NamedTuple):
    """A frame between two others, and where its pixels come from."""

    frame: Frame
    to_first: Flow
    """From this frame to the earlier one."""
    to_second: Flow
    """From this frame to the later one."""


class Interpolator(Protocol):
    """Makes frames between two frames."""

    def __call__(self, first: Frame, second: Frame, moments: Sequence[float]) -> list[Between]:
        """One frame for each moment, between 0 (``first``) and 1 (``second``)."""
        ...


class FlowInterpolator:
    """The formulas of this module with a flow method."""

    def __init__(self, flow: FlowMethod) -> None:
        self.flow = flow

    def __call__(self, first: Frame, second: Frame, moments: Sequence[float]) -> list[Between]:
        """One frame for each moment; both flows are found once."""
        ends = to_bytes(first), to_bytes(second)
        forward, backward = self.flow(*ends), self.flow(*ends[::-1])
        found = []
        for s in moments:
            to_first, to_second = intermediate_flows(forward, backward, s)
            frame = (1 - s) * warp(first, to_first) + s * warp(second, to_second)
            found.append(Between(np.asarray(frame, np.float32), to_first, to_second))
        return found


def intermediate_flows(forward: Flow, backward: Flow, s: float) -> tuple[Flow, Flow]:
    """Flows from the frame at moment ``s`` to the first and to the second frame."""
    to_first = -(1 - s) * s * forward + s * s * backward
    to_second = (1 - s) * (1 - s) * forward - s * (1 - s) * backward
    return np.asarray(to_first, np.float32), np.asarray(to_second, np.float32)


def hole_between(first: Hole, second: Hole, between: Between) -> Hole:
    """The hole of an inserted frame: where not all that it is mixed from is known in both ends."""
    known = np.minimum(warp(~first, between.to_first), warp(~second, between.to_second))
    return np.asarray(known < _KNOWN_FROM)
