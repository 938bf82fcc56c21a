"""Configuration of methods that leave clients something of their own."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from fedzda.strategies.config.mean import MeanConfig


class DittoConfig(MeanConfig):
    """Ditto: personal models beside the global one."""

    name: Literal["ditto"] = "ditto"
    lam: float = Field(default=1.0, ge=0)
    """How strongly personal models are pulled towards the received one; 0: not at all (the paper:
    1, or per client out of 0.1, 1 and 2)."""
    personal_epochs: int | None = Field(default=None, ge=1)
    """Passes of the personal model over the client's data per round; left out: as the global
    one."""


class FedBNConfig(MeanConfig):
    """FedBN: BatchNorm layers stay on the client."""

    one_model = False
    name: Literal["fed-bn"] = "fed-bn"
