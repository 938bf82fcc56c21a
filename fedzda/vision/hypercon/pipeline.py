"""HyperCon: interpolate, translate frame by frame, pool flow-aligned windows (arXiv 1912.04950).

With i frames inserted per gap, frame t of the clip stands at position t (i + 1) of the interpolated
one. Memory holds one window of translated frames, whatever the length of the clip, and positions
that no window contains are neither made nor translated.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from itertools import zip_longest
from typing import Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from fedzda.base import UserError
from fedzda.vision.hypercon.arrays import (
    Frame,
    Hole,
    Pixels,
    Weight,
    as_frame,
    as_hole,
    to_bytes,
)
from fedzda.vision.hypercon.config import HyperConConfig, Pool
from fedzda.vision.hypercon.flow import FlowMethod, make_flow
from fedzda.vision.hypercon.interpolate import FlowInterpolator, Interpolator, hole_between
from fedzda.vision.hypercon.occlusion import likeness, visible
from fedzda.vision.hypercon.pooling import pool
from fedzda.vision.hypercon.translate import ImageModel, translate
from fedzda.vision.hypercon.video import VideoFile
from fedzda.vision.hypercon.warp import in_view, resized_flow, warp

Video = Iterable[npt.NDArray[Any]]
_FILL_RADIUS = 3


def hypercon(
    video: Video,
    image_model: ImageModel,
    interpolation: int = 1,
    window: int = 2,
    dilation: int = 1,
    pooling: Pool = "mean",
    masks: Video | None = None,
    **settings: Any,
) -> Iterator[Frame]:
    """A consistent translation of a video by a model of single images.

    Args:
        video: Frames, 8-bit or float in [0, 1], ``(H, W, 3)`` RGB or ``(H, W)``; any iterable.
        image_model: See :data:`fedzda.vision.hypercon.translate.ImageModel`.
        interpolation: Frames inserted between two.
        window: Neighbours on each side; 0 is frame by frame.
        dilation: Their distance in the interpolated clip.
        pooling: ``mean``, ``median`` or ``medoid``.
        masks: One per frame: bool, or 8-bit with 128 and more in the hole.
        **settings: Other fields of :class:`HyperConConfig`.

    Returns:
        One frame for each of the video, float32, as soon as its window is complete.

    Raises:
        UserError: Frames, masks or results of the model that do not fit, see the parts.

    Example:
        >>> import numpy as np
        >>> clip = [np.full((16, 24, 3), value, np.uint8) for value in (40, 50, 60)]
        >>> [round(float(frame.mean()), 3) for frame in hypercon(clip, lambda x: 1 - x, window=0)]
        [0.843, 0.804, 0.765]
    """
    config = HyperConConfig(
        inserted=interpolation, half_window=window, dilation=dilation, pool=pooling, **settings
    )
    return HyperCon(config).run(video, image_model, masks)


class Result(NamedTuple):
    """One frame of the clip, before and after."""

    source: Frame
    """With holes filled."""
    alone: Frame
    """What the image model makes of it."""
    frame: Frame
    """The consistent frame."""


class Slot(NamedTuple):
    """One position of the interpolated clip, translated."""

    position: int
    source: Frame
    """With holes filled."""
    hole: Hole | None
    translated: Frame
    seen: Pixels
    """What the motion of neighbours is found on."""


class HyperCon:
    """The method with its parts; :func:`hypercon` is the short form.

    Args:
        config: Settings.
        flow: Motion between frames; left out: the one that ``config`` names.
        interpolator: Makes inserted frames; left out: from the flow.
    """

    def __init__(
        self,
        config: HyperConConfig,
        flow: FlowMethod | None = None,
        interpolator: Interpolator | None = None,
    ) -> None:
        self.config = config
        self.flow = flow or make_flow(config.flow, config.flow_weights)
        self.interpolator = interpolator or FlowInterpolator(self.flow)
        self._step = config.inserted + 1
        reach = range(-config.half_window, config.half_window + 1)
        self._offsets = [k * config.dilation for k in reach if k]
        self._needed = {offset % self._step for offset in self._offsets}

    def run(self, video: Video, model: ImageModel, masks: Video | None = None) -> Iterator[Frame]:
        """The consistent clip, frame by frame; see :func:`hypercon`."""
        return (result.frame for result in self.results(video, model, masks))

    def results(
        self, video: Video, model: ImageModel, masks: Video | None = None
    ) -> Iterator[Result]:
        """:meth:`run` with what went in and what the image model alone makes of it."""
        reach = self.config.half_window * self.config.dilation
        held: dict[int, Slot] = {}
        waiting: deque[int] = deque()
        for slot in self._slots(_inputs(video, masks), model):
            held[slot.position] = slot
            if slot.position % self._step == 0:
                waiting.append(slot.position)
            while waiting and waiting[0] + reach <= slot.position:
                yield self._result(held[waiting.popleft()], held)
            ahead = (slot.position // self._step + 1) * self._step  # the clip's next frame
            oldest = (waiting[0] if waiting else ahead) - reach
            held = {position: kept for position, kept in held.items() if position >= oldest}
        for position in waiting:
            yield self._result(held[position], held)

    def _slots(
        self, inputs: Iterator[tuple[Frame, Hole | None]], model: ImageModel
    ) -> Iterator[Slot]:
        """Positions that windows contain, in order."""
        earlier: tuple[Frame, Hole | None] | None = None
        for index, (frame, hole) in enumerate(inputs):
            if earlier is not None:
                yield from self._inserted(index - 1, earlier, (frame, hole), model)
            yield self._slot(index * self._step, frame, hole, model)
            earlier = frame, hole

    def _inserted(
        self,
        index: int,
        first: tuple[Frame, Hole | None],
        second: tuple[Frame, Hole | None],
        model: ImageModel,
    ) -> Iterator[Slot]:
        places = [place for place in range(1, self._step) if place in self._needed]
        if not places:
            return
        moments = [place / self._step for place in places]
        made = self.interpolator(first[0], second[0], moments)
        for place, between in zip(places, made, strict=True):
            hole = None
            if first[1] is not None and second[1] is not None:
                hole = hole_between(first[1], second[1], between)
            yield self._slot(index * self._step + place, between.frame, hole, model)

    def _slot(self, position: int, frame: Frame, hole: Hole | None, model: ImageModel) -> Slot:
        moment = position / self._step
        translated = translate(model, frame, hole, moment, self.config.scale)
        on_source = self.config.flow_on == "source"
        return Slot(position, frame, hole, translated, to_bytes(frame if on_source else translated))

    def _result(self, centre: Slot, held: dict[int, Slot]) -> Result:
        pooled, alone = self._pooled(centre, held), centre.translated
        if centre.hole is not None and self.config.composite and self.config.scale == 1:
            hole = centre.hole[:, :, None]
            pooled, alone = (np.where(hole, frame, centre.source) for frame in (pooled, alone))
        return Result(centre.source, alone, pooled)

    def _pooled(self, centre: Slot, held: dict[int, Slot]) -> Frame:
        """A translated frame, pooled with its neighbours."""
        aligned = [
            self._aligned(centre, held[centre.position + offset])
            for offset in self._offsets
            if centre.position + offset in held
        ]
        stack = np.stack([centre.translated, *(frame for frame, _ in aligned)])
        own = np.ones(centre.translated.shape[:2], np.float32)
        weights = np.stack([own, *(weight for _, weight in aligned)])
        if self.config.known_only and centre.hole is not None:
            weights[0] = _unless_empty(_enlarged(~centre.hole, own.shape), weights[1:])
        return pool(stack, weights, self.config.pool)

    def _aligned(self, centre: Slot, other: Slot) -> tuple[Frame, Weight]:
        """A neighbour's translated frame as the centre sees it, and what it counts."""
        flow = self.flow(centre.seen, other.seen)
        weight = in_view(flow)
        if self.config.weighting == "occlusion":
            weight = visible(flow, self.flow(other.seen, centre.seen)).astype(np.float32)
        elif self.config.weighting == "photometric":
            scale, blur = self.config.photometric_scale, self.config.photometric_blur
            weight = weight * likeness(centre.seen, other.seen, flow, scale, blur)
        height, width = other.translated.shape[:2]
        flow = resized_flow(flow, height, width)
        if self.config.known_only and other.hole is not None:
            known = warp(_enlarged(~other.hole, (height, width)), flow)
            weight = _enlarged(weight, (height, width)) * (known > 0.999)
        return warp(other.translated, flow), _enlarged(weight, (height, width))


def _inputs(video: Video, masks: Video | None) -> Iterator[tuple[Frame, Hole | None]]:
    """Checked frames and holes; holes are filled, because motion must not see what is in them."""
    size: tuple[int, int] | None = None
    if masks is None:
        for index, found in enumerate(video):
            frame = as_frame(found, index, size)
            size = (frame.shape[0], frame.shape[1])
            yield frame, None
        return
    for index, (found, mask) in enumerate(zip_longest(video, masks)):
        if found is None or mask is None:
            fewer, more = ("frames", "masks") if found is None else ("masks", "frames")
            raise UserError(
                f"there are {index} {fewer}, but more {more}. Give one mask for every frame."
            )
        frame = as_frame(found, index, size)
        size = (frame.shape[0], frame.shape[1])
        hole = as_hole(mask, index, size, exact=not isinstance(masks, VideoFile))
        yield fill(frame, hole), hole


def fill(frame: Frame, hole: Hole) -> Frame:
    """A frame whose hole is filled from its border (Telea 2004)."""
    if not hole.any():
        return frame
    filled = cv2.inpaint(to_bytes(frame), hole.astype(np.uint8), _FILL_RADIUS, cv2.INPAINT_TELEA)
    known = np.where(hole[:, :, None], np.asarray(filled) / np.float32(255), frame)
    return np.asarray(known, np.float32)


def _enlarged(map_HW: npt.NDArray[Any], size: tuple[int, ...]) -> Weight:
    """A map at the size of the translated frames."""
    if map_HW.shape == size:
        return map_HW.astype(np.float32)
    found = cv2.resize(map_HW.astype(np.float32), (size[1], size[0]))
    return np.asarray(found, np.float32)


def _unless_empty(own: Weight, others: npt.NDArray[np.float32]) -> Weight:
    """The frame's own weight: none in its hole, except where no neighbour counts either."""
    alone = others.max(axis=0, initial=0) < 0.5
    return np.asarray(np.maximum(own, alone), np.float32)
