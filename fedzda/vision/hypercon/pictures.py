"""Clips for the eye: side by side, and as a strip of moments.

H height, W width.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import cv2
import numpy as np

from fedzda.vision.hypercon.arrays import Frame, Pixels, to_bytes

_MARGIN = 22
_GAP = 4
_WHITE = 255


def side_by_side(frames: Sequence[Frame]) -> Frame:
    """Frames in a row, each as high as the first one; odd sides get a last row or column twice,
    because video files hold even ones only."""
    height = frames[0].shape[0]
    row = np.concatenate([_to_height(frame, height) for frame in frames], axis=1)
    return np.pad(row, ((0, height % 2), (0, row.shape[1] % 2), (0, 0)), mode="edge")


def strip(rows: Mapping[str, Sequence[Frame]]) -> Pixels:
    """A picture with a titled row per version and a column per moment.

    Args:
        rows: Title to frames, equally many in every row.
    """
    lines = []
    for title, frames in rows.items():
        height = frames[0].shape[0]
        cells = [to_bytes(_to_height(frame, height)) for frame in frames]
        gap = np.full((height, _GAP, 3), _WHITE, np.uint8)
        line = np.concatenate([part for cell in cells for part in (cell, gap)][:-1], axis=1)
        lines += [_titled(title, line.shape[1]), line]
    return np.concatenate(lines, axis=0)


def slice_over_time(frames: Sequence[Frame], column: int) -> Frame:
    """One pixel column of every frame, side by side: flicker shows as vertical stripes."""
    return np.stack([frame[:, column] for frame in frames], axis=1)


def _to_height(frame: Frame, height: int) -> Frame:
    if frame.shape[0] == height:
        return frame
    width = round(frame.shape[1] * height / frame.shape[0])
    return np.asarray(cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA), np.float32)


def _titled(title: str, width: int) -> Pixels:
    band = np.full((_MARGIN, width, 3), _WHITE, np.uint8)
    place = (4, _MARGIN - 7)
    cv2.putText(band, title, place, cv2.FONT_HERSHEY_SIMPLEX, 0.45, (0, 0, 0), 1, cv2.LINE_AA)
    return band
