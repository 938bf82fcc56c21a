"""Configuration of methods against client drift."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from fedzda.strategies.config.mean import MeanConfig


class FedProxConfig(MeanConfig):
    """FedProx: clients stay close to the received model."""

    variants = True
    name: Literal["fed-prox"] = "fed-prox"
    mu: float = Field(default=0.1, ge=0)
    """Weight of the proximal term; 0 is FedAvg. The paper tunes it between 0.001 and 1."""


class ScaffoldConfig(MeanConfig):
    """SCAFFOLD: control variates against client drift."""

    optimizers = ("sgd",)
    name: Literal["scaffold"] = "scaffold"
    server_lr: float = Field(default=1.0, gt=0)
    """Step size of the server (the paper's global step size)."""


class FedNovaConfig(MeanConfig):
    """FedNova: updates are divided by the steps that made them."""

    optimizers = ("sgd",)
    name: Literal["fed-nova"] = "fed-nova"


class MoonConfig(MeanConfig):
    """MOON: model-contrastive local training."""

    classifies = "compares what enters a classifier's last layer"
    name: Literal["moon"] = "moon"
    mu: float = Field(default=1.0, ge=0)
    """Weight of the contrastive term; 0 is FedAvg. The paper tunes it between 0.1 and 10."""
    temperature: float = Field(default=0.5, gt=0)
    """Temperature of the contrastive term (the paper: 0.5)."""
