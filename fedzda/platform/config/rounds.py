"""What happens between rounds: evaluation, checkpoints, an early end."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from fedzda.base import StrictConfig


class GroupsConfig(StrictConfig):
    """Groups whose treatment is compared: accuracy, equal opportunity, demographic parity."""

    by: Literal["attribute", "device", "majority-label"]
    """``attribute``: samples by the column ``data.attribute`` (a client belongs to the value that
    most of its samples have); ``device``: clients by their device; ``majority-label``: clients by
    the class that most of their training samples have."""
    positive: int | str | None = None
    """The favourable class, by number or name, whose selection rate (demographic parity) and recall
    (equal opportunity) are compared; left out: all classes, and the widest gap counts."""


class EvaluateConfig(StrictConfig):
    """When and where the global model is evaluated on the clients' own data."""

    every: int = Field(default=1, ge=0)
    """Every so many rounds and at the end; 0: never."""
    clients: Annotated[int, Field(ge=1)] | Literal["all"] = "all"
    """How many clients (drawn per round), or all of them."""
    batch_size: int = Field(default=256, ge=1)
    """Samples per evaluation batch."""
    train_split: bool = False
    """Evaluate on the clients' training data as well."""
    groups: GroupsConfig | None = None
    """Compare groups of clients or samples; left out: none."""


class CheckpointConfig(StrictConfig):
    """What ``fedzda resume`` starts from."""

    every: int = Field(default=1, ge=1)
    """Every so many rounds (and at the end)."""
    keep: int = Field(default=2, ge=1)
    """How many checkpoints stay on disk."""


class StopConfig(StrictConfig):
    """When a run ends before its last round. Rules left out do not count."""

    metric: str | None = None
    """What ``patience`` and ``target`` look at; left out: the task's primary metric."""
    figure: Literal["mean", "worst10", "weighted_mean"] = "mean"
    """Which figure of the metric over the evaluated clients."""
    patience: int | None = Field(default=None, ge=1)
    """Stop after so many evaluated rounds in a row without an improvement."""
    min_delta: float = Field(default=0.0, ge=0)
    """What counts as an improvement for ``patience``: better than the best so far by more than
    this."""
    target: float | None = None
    """Stop when the figure is as good as this, or better."""
    seconds: float | None = Field(default=None, gt=0)
    """Time budget of all rounds together, checked after every round."""
