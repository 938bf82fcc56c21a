"""Clips of a moving camera, made from one stereo pair: frames in order, a clip for each client, and
one more for the global test."""

from __future__ import annotations

import importlib.util
import math
from pathlib import Path

import numpy as np

from fedzda.base import UserError, numpy_rng
from fedzda.clients.sources.config import ParallaxConfig
from fedzda.clients.sources.installed import installed
from fedzda.platform.data.sources.raw import UNLABELLED, Array, RawData, RawTable, RawTables


def load(config: ParallaxConfig, base_folder: Path) -> RawData:
    """The clips; they depend on the block's keys alone, not on the seed of a run.

    Raises:
        UserError: scikit-image or OpenCV is not installed, or the speeds do not ascend from 0.
    """
    identity = [installed("parallax")]
    if importlib.util.find_spec("cv2") is None:
        raise UserError(
            "data.name is 'parallax', which needs OpenCV. Run: pip install 'fedzda[vision]'"
        )
    if not 0 < config.speed[0] <= config.speed[1]:
        raise UserError(
            f"data.speed is {config.speed}: it must be two numbers above 0 in ascending order."
        )
    return RawData(identity, lambda: _read(config))


def _read(config: ParallaxConfig) -> RawTables:
    frames, clip = [], []
    for number in range(config.clips):
        frames += _clip(config, numpy_rng(0, "parallax", number))
        clip += [f"clip-{number}"] * config.frames
    tested = _clip(config, numpy_rng(0, "parallax", config.clips))
    labels = np.zeros(len(frames), dtype=np.int64)
    return RawTables(
        RawTable(np.stack(frames), labels, {"clip": np.array(clip)}, "the clips"),
        RawTable(np.stack(tested), labels[: len(tested)], where="the test clip"),
        class_names=[UNLABELLED],
        size=config.size,
        channels=config.channels,
    )


def _clip(config: ParallaxConfig, rng: np.random.Generator) -> list[Array]:
    """Frames ``(H, W, 3)``, uint8."""
    from fedzda.vision.hypercon.arrays import to_bytes
    from fedzda.vision.hypercon.photographs import stereo_pair
    from fedzda.vision.hypercon.synthetic import parallax_clip

    left, _, disparity = stereo_pair()
    speed = rng.uniform(config.speed[0], config.speed[1])
    moved = math.ceil(speed * (config.frames - 1))
    # What comes into view on the right is cut off: it is known only if it lay there before.
    height, width = config.height, config.width + moved
    if height > left.shape[0] or width > left.shape[1]:
        raise UserError(
            f"data: frames of {config.height}x{config.width} pixels that move by {moved} need "
            f"{height}x{width} of a scene of {left.shape[0]}x{left.shape[1]}: lower data.frames, "
            "data.speed or the size."
        )
    top = int(rng.integers(left.shape[0] - height + 1))
    start = int(rng.integers(left.shape[1] - width + 1))
    part = (slice(top, top + height), slice(start, start + width))
    near = float(disparity[part].max())
    made = parallax_clip(left[part], disparity[part], config.frames, moved / max(near, 1.0))
    frames = [to_bytes(frame)[:, : config.width] for frame in made.frames]
    return [frame[:, ::-1] for frame in frames] if rng.integers(2) else frames
