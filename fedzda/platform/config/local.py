"""The block ``local:``: training on a client."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from fedzda.base import StrictConfig


class SGDConfig(StrictConfig):
    """Stochastic gradient descent."""

    name: Literal["sgd"] = "sgd"
    lr: float = Field(default=0.05, gt=0)
    """Step size."""
    momentum: float = Field(default=0.0, ge=0, lt=1)
    """Momentum; the buffer starts at zero in every round."""
    weight_decay: float = Field(default=0.0, ge=0)
    """L2 coefficient."""
    nesterov: bool = False
    """Nesterov momentum (needs ``momentum`` above 0)."""


class AdamConfig(StrictConfig):
    """Adam; its moments start at zero in every round."""

    name: Literal["adam"] = "adam"
    lr: float = Field(default=1e-3, gt=0)
    """Step size."""
    betas: list[float] = Field(default=[0.9, 0.999], min_length=2, max_length=2)
    """Decay of the first and second moment."""
    weight_decay: float = Field(default=0.0, ge=0)
    """Decoupled weight decay (AdamW)."""


class LocalConfig(StrictConfig):
    """Training on a client."""

    epochs: int = Field(default=1, ge=1)
    """Passes over the client's data per round; ignored where ``steps`` is set."""
    steps: int | None = Field(default=None, ge=1)
    """Gradient steps per round, instead of epochs."""
    batch_size: int = Field(default=16, ge=1)
    """Samples per gradient step; the last, smaller batch of an epoch is used too."""
    optimizer: Annotated[SGDConfig | AdamConfig, Field(discriminator="name")] = SGDConfig()
    """The optimiser."""
    lr_decay: float = Field(default=1.0, gt=0, le=1)
    """Factor on the step size per round: ``lr * lr_decay ** (round - 1)``."""
    poly: float | None = Field(default=None, gt=0)
    """Power of a polynomial decay over the run, a factor ``(1 - (round - 1) / rounds) ** poly`` on
    the step size; left out: none. Usual for segmentation: 0.9."""
    clip_norm: float | None = Field(default=None, gt=0)
    """Largest gradient norm; larger gradients are scaled down."""
