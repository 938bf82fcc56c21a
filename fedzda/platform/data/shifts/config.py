"""Configuration of the feature shifts. Imports no torch."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from fedzda.platform.config import ShiftConfig


class RotationConfig(ShiftConfig):
    """Images are turned about their centre, counter-clockwise."""

    name: Literal["rotation"] = "rotation"
    degrees: Annotated[float, Field(gt=0, le=180)] | Annotated[list[float], Field(min_length=1)] = (
        Field(default=[0.0, 90.0, 180.0, 270.0])
    )
    """A list: angles that clients (or clusters) take in turn; a number: each draws its own between
    minus and plus this angle."""
    padding: Literal["zeros", "border", "reflection"] = "zeros"
    """What comes in at the corners: black, the nearest pixel of the edge, or the mirrored image."""


class NoiseConfig(ShiftConfig):
    """Gaussian noise on the pixels, always the same for an image."""

    name: Literal["noise"] = "noise"
    std: (
        Annotated[float, Field(gt=0, le=1)]
        | Annotated[list[Annotated[float, Field(ge=0, le=1)]], Field(min_length=1)]
    ) = 0.3
    """Standard deviation for pixels in [0, 1]. A list: clients (or clusters) take them in turn; a
    number: it grows evenly from the first of them to this value at the last."""


class ColourConfig(ShiftConfig):
    """Every colour channel is made brighter or darker, as by another camera or lamp."""

    name: Literal["colour"] = "colour"
    strength: float = Field(default=1.0, gt=0)
    """The factor on each channel is drawn between 1 / (1 + strength) and 1 + strength (uniform in
    its logarithm); on grey images it is brightness."""
