"""Configuration of the built-in tasks (imports no torch)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from fedzda.base import StrictConfig


class ClassificationConfig(StrictConfig):
    """One label per image."""

    name: Literal["classification"] = "classification"
    label_smoothing: float = Field(default=0.0, ge=0.0, lt=1.0)
    """Share of the target spread evenly over all classes in training; the reported loss is the
    plain cross entropy."""
