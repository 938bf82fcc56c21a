"""Frames, holes and flows: their arrays, their checks, their conversions.

T frames, H height, W width. A frame is float32 ``(H, W, 3)``, RGB in [0, 1]. A hole is bool
``(H, W)``, true where the frame is not known. A flow is float32 ``(H, W, 2)`` in pixels, x first:
the pixel x of the first frame is found at ``x + flow(x)`` in the second.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from fedzda.base import UserError

Frame = npt.NDArray[np.float32]
Hole = npt.NDArray[np.bool_]
Flow = npt.NDArray[np.float32]
Weight = npt.NDArray[np.float32]
Pixels = npt.NDArray[np.uint8]

_HOLE_FROM = 128
_COLOURS = {2: 1, 4: 3}
"""Channels before that of opacity, by how many there are."""
"""Smallest 8-bit value of a mask that is hole."""
_FAR_OUT = 10
"""No noise on pixels in [0, 1] reaches so far: such frames are on another scale."""


def as_frame(found: npt.NDArray[Any], index: int, size: tuple[int, int] | None) -> Frame:
    """A frame of a caller's array: 8-bit or floating point, grey or colour.

    Args:
        found: ``(H, W)`` or ``(H, W, 3)``; floating point is in [0, 1].
        index: Number of the frame, for errors.
        size: Height and width that it must have; None: any.

    Raises:
        UserError: Another shape, size, type or scale, or values that are not finite.
    """
    array = np.asarray(found)
    if array.ndim == 2:
        array = np.repeat(array[:, :, None], 3, axis=2)
    if array.ndim != 3 or array.shape[2] != 3:
        raise UserError(
            f"frame {index} of the video has shape {found.shape}: it must be (height, width) or "
            "(height, width, 3). Convert it to RGB."
        )
    if size is not None and array.shape[:2] != size:
        raise UserError(
            f"frame {index} of the video is {_by(array.shape)} pixels, the first one {_by(size)}. "
            "All frames of a clip must have one size: resize or cut them."
        )
    _check_type(array, index)
    scale = np.float32(255 if array.dtype == np.uint8 else 1)
    frame = np.asarray(array.astype(np.float32) / scale, np.float32)
    if not np.isfinite(frame).all():
        raise UserError(f"frame {index} of the video has values that are not finite. Replace them.")
    largest = float(np.abs(frame).max(initial=0))
    if largest > _FAR_OUT:
        raise UserError(
            f"frame {index} of the video has floating-point values up to {largest:g}: they must be "
            "in [0, 1]. Divide them, 8-bit values by 255."
        )
    return frame


def _check_type(array: npt.NDArray[Any], index: int) -> None:
    if array.dtype != np.uint8 and not np.issubdtype(array.dtype, np.floating):
        raise UserError(
            f"frame {index} of the video is of type {array.dtype}: it must be uint8, or floating "
            "point in [0, 1]. Convert it."
        )


def as_hole(found: npt.NDArray[Any], index: int, size: tuple[int, int], exact: bool = True) -> Hole:
    """The hole of a caller's mask: bool, or numbers of which 128 and more are hole.

    A coloured mask is hole where any colour is.

    Args:
        found: The mask, ``(H, W)`` or ``(H, W, C)``.
        index: Its number in the clip.
        size: Height and width of the frames.
        exact: False for masks from a video file, whose codec leaves ones where nothing is.

    Raises:
        UserError: Its size is not that of the frames, or its exact numbers end at 1.
    """
    mask = np.asarray(found)
    if mask.shape[:2] != size or mask.ndim > 3:
        raise UserError(
            f"mask {index} is {_by(mask.shape)} pixels, the frames are {_by(size)}. Give one mask "
            "of the frames' size for every frame."
        )
    if mask.ndim == 3:
        mask = mask[:, :, : _COLOURS.get(mask.shape[2], 3)].max(axis=2)
    if mask.dtype == np.bool_:
        return mask
    if exact and 0 < mask.max(initial=0) <= 1:
        raise UserError(
            f"mask {index} has numbers from 0 to 1, of which none is hole: numbers of {_HOLE_FROM} "
            "and more are. Give bool, or multiply by 255."
        )
    return np.asarray(mask >= _HOLE_FROM)


def to_bytes(frame_HWC: Frame) -> Pixels:
    """A frame as 8-bit pixels, rounded."""
    return (np.clip(frame_HWC, 0, 1) * 255).round().astype(np.uint8)


def _by(shape: tuple[int, ...]) -> str:
    return f"{shape[1]}x{shape[0]}"
