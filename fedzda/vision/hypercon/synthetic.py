"""Clips made from photographs, with exact motion.

A camera path shows a photograph through a moving affine window: what leaves the view is all that
is occluded. A parallax clip moves the pixels of a stereo pair's left view by a share of their
disparity.

T frames, H height, W width.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from fedzda.vision.hypercon.arrays import Flow, Frame, Hole, Pixels
from fedzda.vision.hypercon.warp import in_view

Affine = npt.NDArray[np.float64]

_TURN, _ZOOM = 0.02, 0.01
"""Largest change of angle (radians) and of log scale per frame, at a speed of 4 pixels."""


class MovingClip(NamedTuple):
    """Frames and their motion."""

    frames: list[Frame]
    flows: list[Flow]
    """From each frame to the next one."""
    visible: list[Hole]
    """Pixels of each frame that the next one shows."""


def camera_path(
    picture: Pixels, count: int, size: tuple[int, int], speed: float, rng: np.random.Generator
) -> MovingClip:
    """A camera that pans, turns and zooms evenly over a picture.

    Args:
        picture: ``(H, W, 3)``; beyond its border it is mirrored.
        count: T.
        size: Height and width of the frames.
        speed: Largest motion of the frame's centre per frame in pixels.
        rng: Chooses place and motion.
    """
    windows = _windows(picture.shape, count, size, speed, rng)
    height, width = size
    frames = [
        np.asarray(
            cv2.warpAffine(
                picture,
                window[:2],
                (width, height),
                flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
                borderMode=cv2.BORDER_REFLECT_101,
            )
            / np.float32(255),
            np.float32,
        )
        for window in windows
    ]
    flows = [affine_flow(a, b, size) for a, b in pairwise(windows)]
    return MovingClip(frames, flows, [_inside(flow) for flow in flows])


def _windows(
    shape: tuple[int, ...],
    count: int,
    size: tuple[int, int],
    speed: float,
    rng: np.random.Generator,
) -> list[Affine]:
    """For each frame, the map ``(3, 3)`` from its pixels to those of the picture."""
    room = [max(whole - part, 1) for whole, part in zip(shape[:2], size, strict=True)]
    top, left = (rng.uniform(0, free) for free in room)
    pan = rng.uniform(-speed, speed, 2)
    turn, zoom = rng.uniform(-1, 1, 2) * (_TURN, _ZOOM) * speed / 4
    centre = _shift(size[1] / 2, size[0] / 2)
    found = []
    for t in range(count):
        angle, scale = turn * t, np.exp(zoom * t)
        cos, sin = scale * np.cos(angle), scale * np.sin(angle)
        turned = np.array([[cos, -sin, 0], [sin, cos, 0], [0, 0, 1]])
        place = _shift(left + pan[0] * t, top + pan[1] * t)
        found.append(place @ centre @ turned @ np.linalg.inv(centre))
    return found


def _shift(x: float, y: float) -> Affine:
    return np.array([[1, 0, x], [0, 1, y], [0, 0, 1]], dtype=np.float64)


def affine_flow(first: Affine, second: Affine, size: tuple[int, int]) -> Flow:
    """Motion between two windows on one picture: both show the same point of it."""
    step = np.linalg.inv(second) @ first
    rows, columns = np.mgrid[: size[0], : size[1]]
    points = np.stack([columns, rows, np.ones_like(rows)], axis=-1) @ step.T
    return np.asarray(points[:, :, :2] - np.stack([columns, rows], axis=-1), np.float32)


def _inside(flow: Flow) -> Hole:
    return in_view(flow) > 0


def moving_scene(
    pictures: tuple[Pixels, Pixels],
    count: int,
    size: tuple[int, int],
    speed: float,
    rng: np.random.Generator,
) -> list[Frame]:
    """A camera path with an elliptic piece of another picture that moves on its own in front.

    Args:
        pictures: Background, and what the piece is cut from.
        count: T.
        size: Height and width of the frames.
        speed: See :func:`camera_path`.
        rng: Chooses.
    """
    behind = camera_path(pictures[0], count, size, speed, rng).frames
    front = camera_path(pictures[1], count, size, speed / 2, rng).frames
    rows, columns = np.mgrid[: size[0], : size[1]]
    centre, radius = rng.uniform(0.25, 0.75, 2) * size, rng.uniform(0.1, 0.35, 2) * size
    step = rng.uniform(-speed, speed, 2)
    found = []
    for t in range(count):
        y, x = centre + t * step
        inside = ((rows - y) / radius[0]) ** 2 + ((columns - x) / radius[1]) ** 2 < 1
        found.append(np.where(inside[:, :, None], front[t], behind[t]))
    return found


def parallax_clip(
    left: Pixels, disparity: npt.NDArray[np.float32], count: int, span: float
) -> MovingClip:
    """The left view of a stereo pair as the camera moves to the right.

    Pixels are moved by ``t / (T - 1) * span`` of their disparity, the nearer ones in front; gaps
    that open are filled from the farther side.

    Args:
        left: ``(H, W, 3)``.
        disparity: ``(H, W)``, at least 0.
        count: T, at least 2.
        span: Share of the disparity that the last frame is moved by.
    """
    frames, maps = [], []
    for t in range(count):
        frame, moved = _splatted(left, disparity, t / (count - 1) * span)
        frames.append(np.asarray(frame / np.float32(255), np.float32))
        maps.append(moved)
    flows, visible = [], []
    for here, there in pairwise(maps):
        flow = np.zeros((*here.shape, 2), np.float32)
        flow[:, :, 0] = -here * span / (count - 1)
        flows.append(flow)
        columns = np.round(np.arange(here.shape[1]) + flow[:, :, 0]).astype(int)
        seen = np.take_along_axis(there, columns.clip(0, here.shape[1] - 1), axis=1)
        visible.append(_inside(flow) & (np.abs(seen - here) < 1))
    return MovingClip(frames, flows, visible)


def _splatted(
    left: Pixels, disparity: npt.NDArray[np.float32], share: float
) -> tuple[Pixels, npt.NDArray[np.float32]]:
    """The moved view, and the disparity of its pixels."""
    height, width = disparity.shape
    rows, columns = np.mgrid[:height, :width]
    order = np.argsort(disparity, axis=None, kind="stable")  # the nearest are written last
    targets = np.round(columns - share * disparity).astype(int).ravel()[order]
    inside = (targets >= 0) & (targets < width)
    order, targets = order[inside], targets[inside]
    place = rows.ravel()[order] * width + targets
    frame = np.zeros((height * width, 3), np.uint8)
    moved = np.full(height * width, -1, np.float32)
    frame[place] = left.reshape(-1, 3)[order]
    moved[place] = disparity.ravel()[order]
    return _closed(frame.reshape(left.shape), moved.reshape(height, width))


def _closed(
    frame: Pixels, moved: npt.NDArray[np.float32]
) -> tuple[Pixels, npt.NDArray[np.float32]]:
    """Every gap takes the pixel at its left or right end that is farther away."""
    height, width = moved.shape
    columns = np.broadcast_to(np.arange(width), moved.shape)
    known = moved >= 0
    before = np.maximum.accumulate(np.where(known, columns, -1), axis=1)
    after = np.minimum.accumulate(np.where(known, columns, width)[:, ::-1], axis=1)[:, ::-1]
    far = np.float32(np.inf)
    rows = np.arange(height)[:, None]
    left = np.where(before >= 0, moved[rows, before.clip(0)], far)
    right = np.where(after < width, moved[rows, after.clip(None, width - 1)], far)
    source = np.where(left <= right, before.clip(0), after.clip(None, width - 1))
    return frame[rows, source], np.maximum(moved[rows, source], 0)
