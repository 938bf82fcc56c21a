"""The block ``data:``: data set, partition, shift and splits."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, SerializeAsAny

from fedzda.base import StrictConfig
from fedzda.platform.config.slot import Slot


class PartitionerConfig(StrictConfig):
    """What every partitioner shares (nothing yet but its place in the file)."""

    name: str


class ShiftConfig(StrictConfig):
    """What every feature shift shares."""

    name: str
    by: Literal["client", "cluster"] = "client"
    """Whether every client sees its images in a way of its own, or all clients of a cluster
    (``data.partition: {name: clusters}``) in one."""


class DataConfig(StrictConfig):
    """What every data set shares; each source adds its own keys."""

    name: str
    clients: int | None = Field(default=None, ge=1)
    """Number of clients; left out where the partitioner finds it (natural ids)."""
    partition: Annotated[SerializeAsAny[PartitionerConfig], Slot("partitioners")] = Field(
        default={"name": "iid"}  # type: ignore[assignment]
    )
    """How samples are dealt to clients."""
    shift: Annotated[SerializeAsAny[ShiftConfig] | None, Slot("shifts")] = None
    """How the clients' images differ in look; left out: not at all."""
    attribute: str | None = None
    """Column with an attribute of every sample, such as a camera or a skin tone, whose values are
    groups for ``evaluate.groups``."""
    test_fraction: float = Field(default=0.2, ge=0.0, lt=1.0)
    """Share of each client's samples kept for its own test; 0.0 is allowed."""
    validation_fraction: float = Field(default=0.0, ge=0.0, lt=1.0)
    """Share of each client's samples kept for selection."""
    split: Literal["stratified", "blocks"] = "stratified"
    """``stratified``: at random, with equal label shares; ``blocks``: the last samples of each
    client in stored order are for testing, for frames of a video."""
    group: str | None = None
    """Column whose equal values stay on one side of every split, such as the scene that several
    images show; left out: every sample stands for itself."""
    group_without: str | None = None
    """Regular expression: what it matches is cut out of the values of ``group`` first, for example
    the number of the shot at the end of a scene's name."""
    seed: int | None = Field(default=None, ge=0)
    """Seed of the partition and the splits; left out: the seed of the run."""
    max_samples: int | None = Field(default=None, ge=1)
    """Keep a random subset of the training pool of this size before it is dealt out."""
    classes: list[Annotated[int, Field(ge=0)]] | None = Field(default=None, min_length=2)
    """Keep these classes alone, by number, in this order; left out: all. Everything is dealt out
    first, so that clients hold of them what they would hold among all classes."""
    missing_classes: Literal["fail", "allow"] = "fail"
    """A class that no client can train on: refuse, or go on without it."""
