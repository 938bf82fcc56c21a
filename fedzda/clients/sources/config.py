"""Configuration of the embedded data sets (imports no torch)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field

from fedzda.platform.data.sources.config import ImageSourceConfig


class PhotographsConfig(ImageSourceConfig):
    """Pieces of photographs that ship inside scikit-image and scikit-learn, dealt to cameras.

    The column ``camera`` gives natural clients. Every camera has pieces of every photograph that
    has enough of them, no piece is with two. The column ``photograph`` is for ``data.group``: no
    photograph is then trained and tested on.
    """

    name: Literal["photographs"] = "photographs"
    cameras: int = Field(default=5, ge=1)
    """Cameras that the pieces are dealt to."""
    edge: int = Field(default=64, ge=16, le=256)
    """Height and width of a piece in pixels."""
    shrink: int = Field(default=2, ge=1, le=4)
    """Pixels of a photograph along one of a piece: their mean has less of the photograph's own
    noise."""
    pieces: int = Field(default=6, ge=1)
    """Most pieces of one photograph that a camera gets."""


class ParallaxConfig(ImageSourceConfig):
    """Clips that a camera takes as it moves sideways past the *motorcycle* scene of Middlebury.

    The column ``clip`` gives natural clients: each has a part of the scene, a speed and a direction
    of its own. Frames are in order, so split them with ``data.split: blocks``.
    """

    fast: ClassVar[Mapping[str, Any]] = {"frames": 6}
    name: Literal["parallax"] = "parallax"
    clips: int = Field(default=6, ge=1)
    """Clips."""
    frames: int = Field(default=24, ge=2)
    """Frames of each clip."""
    height: int = Field(default=96, ge=16, le=400)
    """Height of a frame in pixels."""
    width: int = Field(default=144, ge=16, le=400)
    """Width of a frame in pixels."""
    speed: list[float] = Field(default=[1.0, 3.0], min_length=2, max_length=2)
    """Smallest and largest speed of a clip: pixels per frame that its nearest point moves by."""
