"""Consistency of a clip, always to be read beside its fidelity.

``warping_error``, its masked form and ``patch_consistency`` follow public evaluation code
(MichiganCOG/video-inpainting-evaluation); Lai et al. 2018 divide by a mask summed over three
channels instead. A constant clip has no warping error, and a blurred one less than the real one.

T frames, H height, W width; pixels in [0, 1].
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Literal, NamedTuple

import cv2
import numpy as np
import torch

from fedzda.base import UserError
from fedzda.vision.hypercon.arrays import Flow, Frame, Hole, to_bytes
from fedzda.vision.hypercon.flow import FlowMethod
from fedzda.vision.hypercon.occlusion import visible
from fedzda.vision.hypercon.training import tensor_of
from fedzda.vision.hypercon.warp import warp
from fedzda.vision.metrics.ssim import ssim

PATCH_SIDE = 50
"""Pixels of the patch of :func:`patch_consistency`, on each side."""
SEARCH = 20
"""The patch is sought at offsets from ``-SEARCH`` to ``SEARCH - 1``."""
_PLACES = 200
"""SSIM of so many places at once."""


class Motion(NamedTuple):
    """From a frame of the original clip to the next one."""

    flow: Flow
    visible: Hole
    """Pixels that the next frame shows."""


def motions(video: Iterable[Frame], flow: FlowMethod) -> Iterator[Motion]:
    """The motion of an original clip, ``T - 1`` steps. Never use the flow of a result."""
    for first, second in pairwise(to_bytes(frame) for frame in video):
        forward = flow(first, second)
        yield Motion(forward, visible(forward, flow(second, first)))


def warping_error(
    clip: Iterable[Frame], steps: Iterable[Motion], holes: Iterable[Hole] | None = None
) -> float:
    """Mean squared change along the motion, in [0, 1]: mean over visible pixels, then over steps.

    Args:
        clip: What is judged, T frames.
        steps: Of the original clip.
        holes: Count only pixels whose motion starts or ends in a hole. Steps without any are
            left out.

    Raises:
        UserError: Fewer than two frames, or no pixel counts in any step.
    """
    errors = []
    masks = pairwise(holes) if holes is not None else None
    for (first, second), step in zip(pairwise(clip), steps, strict=True):
        counts = step.visible
        if masks is not None:
            start, end = next(masks)
            counts = counts & (start | (warp(end, step.flow) >= 0.5))
        if counts.any():
            errors.append(step_error(first, second, step.flow, counts))
    if not errors:
        raise UserError(
            "the warping error needs two frames with a pixel that both show (got none). Give a "
            "longer clip, or larger holes."
        )
    return float(np.mean(errors))


def step_error(first: Frame, second: Frame, flow: Flow, counts: Hole) -> float:
    """Mean squared difference of a frame and the next one, warped to it, where ``counts``."""
    change = np.square(first - warp(second, flow), dtype=np.float64)
    return float(change[counts].mean())


def patch_consistency(
    clip: Iterable[Frame],
    holes: Iterable[Hole] | None = None,
    measure: Literal["psnr", "ssim"] = "psnr",
) -> float:
    """Mean over steps of how well a patch is found again in the next frame.

    The patch has :data:`PATCH_SIDE` pixels on each side and lies at the centre of the frame (our
    choice), or at the centroid of its hole, as near to it as the frame allows. Steps whose first
    frame has no hole are left out.

    Args:
        clip: What is judged.
        holes: See above.
        measure: Best PSNR in dB, 100 for a perfect match; or best SSIM, seconds per step.

    Raises:
        UserError: Frames smaller than the patch, or no step.
    """
    scores = []
    found = iter(holes) if holes is not None else None
    for first, second in pairwise(clip):
        hole = next(found) if found is not None else None
        if hole is not None and not hole.any():
            continue
        patch, area = _patch_and_area(first, second, hole)
        if measure == "psnr":
            scores.append(psnr_of(_least_square(patch, area)))
        else:
            scores.append(_best_ssim(patch, area))
    if not scores:
        raise UserError(
            "patch consistency needs two frames, and a hole in the first if there are masks (got "
            "none). Give a longer clip, or masks with holes."
        )
    return float(np.mean(scores))


def _patch_and_area(first: Frame, second: Frame, hole: Hole | None) -> tuple[Frame, Frame]:
    """The patch of a frame, and the part of the next one in which it is sought."""
    (top, left), side = _corner(first, hole), PATCH_SIDE
    above, before = max(top - SEARCH, 0), max(left - SEARCH, 0)
    area = second[above : top + side + SEARCH - 1, before : left + side + SEARCH - 1]
    return first[top : top + side, left : left + side].copy(), np.ascontiguousarray(area)


def _corner(frame: Frame, hole: Hole | None) -> tuple[int, int]:
    """Top and left of the patch."""
    height, width = frame.shape[:2]
    if min(height, width) < PATCH_SIDE:
        raise UserError(
            f"patch consistency needs frames of {PATCH_SIDE} pixels on each side (got "
            f"{width}x{height})."
        )
    centre = (height / 2, width / 2)
    if hole is not None:
        rows, columns = np.nonzero(hole)
        centre = (float(rows.mean()), float(columns.mean()))
    top, left = (round(middle - PATCH_SIDE / 2) for middle in centre)
    return min(max(top, 0), height - PATCH_SIDE), min(max(left, 0), width - PATCH_SIDE)


def _least_square(patch: Frame, area: Frame) -> float:
    """Least mean squared difference of a patch and any place of an area."""
    sums = cv2.matchTemplate(area, patch, cv2.TM_SQDIFF)
    left, top = cv2.minMaxLoc(sums)[2]
    found = area[top : top + PATCH_SIDE, left : left + PATCH_SIDE]
    # The sums come from a Fourier transform, whose rounding would hide a perfect match.
    return float(np.square(patch - found, dtype=np.float64).mean())


def _best_ssim(patch: Frame, area: Frame) -> float:
    side = PATCH_SIDE
    windows = torch.from_numpy(area).permute(2, 0, 1).unfold(1, side, 1).unfold(2, side, 1)
    places = windows.permute(1, 2, 0, 3, 4).flatten(0, 1)
    truth = torch.from_numpy(patch).permute(2, 0, 1).unsqueeze(0)
    parts = torch.split(places, _PLACES)
    return max(float(ssim(part, truth.expand(len(part), -1, -1, -1)).max()) for part in parts)


def psnr_of(mean_square: float) -> float:
    """PSNR in dB of pixels in [0, 1]; at most 100."""
    return -10 * float(np.log10(max(mean_square, 1e-10)))


def clip_psnr(clip: Iterable[Frame], truth: Iterable[Frame]) -> float:
    """Mean over frames of the PSNR in dB."""
    pairs = zip(clip, truth, strict=True)
    errors = [np.square(mine - real, dtype=np.float64).mean() for mine, real in pairs]
    return float(np.mean([psnr_of(float(error)) for error in errors]))


def clip_ssim(clip: Iterable[Frame], truth: Iterable[Frame]) -> float:
    """Mean over frames of the SSIM, see :func:`fedzda.vision.metrics.ssim.ssim`."""
    pairs = zip(clip, truth, strict=True)
    return float(np.mean([float(ssim(tensor_of(a), tensor_of(b))) for a, b in pairs]))
