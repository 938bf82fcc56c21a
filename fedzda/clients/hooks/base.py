"""The places at which a method may step into local training."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from fedzda.platform.config import LocalConfig
from fedzda.platform.engines.calls import Call
from fedzda.platform.records import Arrays, Content

if TYPE_CHECKING:
    from fedzda.clients.runtime import ClientRuntime
    from fedzda.clients.tasks.base import Task

Batch = dict[str, torch.Tensor]
"""Columns of equal length: for classification ``image`` (N, C, H, W) normalised, ``label`` (N,)."""


@dataclass
class LocalRun:
    """One client's training in one round, as hooks see it.

    Attributes:
        runtime: The process's runtime: ``task``, ``image``, ``seed``, ``build_model()``.
        call: The request; ``call.content.config()`` holds what the strategy sent.
        model: Holds the received weights at ``Hook.start``; trained in place.
        data: The client's training samples; a hook may replace it by a larger one.
        metrics: Figures for the strategy and the client table; a hook may add some.
        details: Figures for the client table only; a list becomes ``name/<index>``.
        state: What the client keeps for later rounds, at first what it kept so far; a hook replaces
            whole records (``run.state.arrays["personal"] = …``) and changes none in place. It never
            reaches the strategy.
        withheld: Names of the model's arrays that do not leave the client.
        uploads: Further records of arrays for the strategy, beside the model.
        task: The task as this client trains on it, once the first step is near.
        bytes_up: What is sent where the update is encoded; None: the arrays as they are.
    """

    runtime: ClientRuntime
    call: Call
    model: nn.Module
    data: Batch
    metrics: dict[str, Any] = field(default_factory=dict)
    details: dict[str, Any] = field(default_factory=dict)
    state: Content = field(default_factory=Content)
    withheld: frozenset[str] = frozenset()
    uploads: dict[str, Arrays] = field(default_factory=dict)
    task: Task | None = None
    bytes_up: int | None = None

    @property
    def config(self) -> dict[str, Any]:
        """The request's configuration."""
        return self.call.content.config()


class Hook:
    """Does nothing at any place; methods override what they need."""

    def start(self, run: LocalRun) -> None:
        """Before the first step; ``run.model`` holds the received weights."""

    def train(self, run: LocalRun, config: LocalConfig, rng: np.random.Generator) -> bool:
        """Train ``run.model`` in place of the usual loop; False: leave it to that loop."""
        return False

    def loss(self, run: LocalRun, batch: Batch, loss: torch.Tensor) -> torch.Tensor:
        """The loss to minimise on a batch."""
        return loss

    def gradient(self, run: LocalRun) -> None:
        """After the backward pass, before the step."""

    def finish(self, run: LocalRun) -> None:
        """After the last step."""

    def close(self) -> None:
        """At the very end, after an error too: leave nothing behind on the resident model."""
