"""Configuration of merging two classifiers (imports no torch). Every default is our choice."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, SerializeAsAny

from fedzda.base import StrictConfig
from fedzda.platform.config import AdamConfig, SGDConfig, Slot


class MergeConfig(StrictConfig):
    """One student of two classifiers with disjoint classes, without data."""

    synthesizer: Annotated[SerializeAsAny[StrictConfig], Slot("synthesizers")] = Field(
        default={"name": "zs-cgan", "steps": 500, "batch_size": 128}  # type: ignore[assignment]
    )
    """How images are made from either model; trained from scratch for each."""
    store: int | None = Field(default=5000, ge=2)
    """Images made once of each model and reused; null: fresh ones in every step."""
    init: Literal["first", "scratch"] = "first"
    """Initial weights of the student: the first model's, with fresh rows of the last layer for the
    second model's classes (same architecture only), or fresh ones."""
    steps: int = Field(default=1000, ge=1)
    """Gradient steps of the student."""
    batch_size: int = Field(default=128, ge=4)
    """Images per step, all classes alike."""
    optimizer: Annotated[SGDConfig | AdamConfig, Field(discriminator="name")] = AdamConfig()
    """The student's optimiser."""
    schedule: Literal["constant", "steps", "cosine"] = "cosine"
    """Step size over the steps: constant, a tenth after half and a hundredth after three quarters,
    or half a cosine."""
    ce: float = Field(default=1.0, ge=0)
    """Weight of the cross entropy over all classes to the labels that images were made for."""
    kd: float = Field(default=1.0, ge=0)
    """Weight of the distillation of each model's outputs among its own classes."""
    temperature: float = Field(default=2.0, gt=0)
    """Temperature of that distillation."""
    beta: float = Field(default=1.0, ge=0)
    """Weight of the variational information distillation of each model's layers; 0: none."""
    layers: list[str] | None = Field(default=None, min_length=1)
    """Modules whose outputs are distilled; left out: the last of each stage of built-in models."""
    mid_channels: int | None = Field(default=None, ge=1)
    """Hidden channels of a regressor; left out: as many as the teacher's map."""
