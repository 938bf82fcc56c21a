"""Clients of different sizes, without any skew of labels."""

from typing import Literal

import numpy as np
from fedzda.platform.config import PartitionerConfig
from pydantic import Field


class StepsConfig(PartitionerConfig):
    """Client c gets a share proportional to ``1 + growth * c``."""

    name: Literal["my-plugin-steps"] = "my-plugin-steps"
    growth: float = Field(default=1.0, ge=0)
    """0: all are of one size."""


def steps(
    config: StepsConfig,
    labels: np.ndarray,
    columns: dict[str, np.ndarray],
    num_clients: int,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray]:
    """Rows client by client, and where each client starts (``num_clients + 1`` offsets)."""
    weight = 1 + config.growth * np.arange(num_clients)
    spare = len(labels) - num_clients  # everybody gets one first
    sizes = 1 + np.floor(spare * weight / weight.sum()).astype(np.int64)
    sizes[-1] += len(labels) - sizes.sum()
    return rng.permutation(len(labels)), np.r_[0, np.cumsum(sizes)]


steps.Config = StepsConfig
