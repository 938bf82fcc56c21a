"""Configuration of the built-in tasks (imports no torch)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from fedzda.base import StrictConfig
from fedzda.vision.gsanet.config import AugmentationConfig


class ClassificationConfig(StrictConfig):
    """One label per image."""

    name: Literal["classification"] = "classification"
    label_smoothing: float = Field(default=0.0, ge=0.0, lt=1.0)
    """Share of the target spread evenly over all classes in training; the reported loss is the
    plain cross entropy."""


class SegmentationConfig(StrictConfig):
    """A class for every pixel."""

    name: Literal["segmentation"] = "segmentation"
    class_weights: list[Annotated[float, Field(ge=0)]] | None = None
    """Weight of each class in training; left out: all 1."""
    ohem_threshold: float | None = Field(default=None, gt=0, le=1)
    """Train on hard pixels only, those whose class has a smaller probability than this; left out:
    on all."""
    ohem_min_share: float = Field(default=0.1, ge=0, le=1)
    """Smallest share of a batch's labelled pixels that ``ohem_threshold`` leaves."""
    augmentation: AugmentationConfig | None = None
    """Random scale, crop, flip and colour of training images; left out: none."""
    boundary_radius: int = Field(default=2, ge=1)
    """Tolerance of the boundary F score in pixels."""
