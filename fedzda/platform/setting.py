"""What a strategy is told about the simulation before the first round."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fedzda.base import ImageSpec, numpy_rng
from fedzda.platform.config import SimulationConfig
from fedzda.platform.devices.clock import VirtualClock

ServerCompute = Callable[[Callable[[Any, Any], Any], Sequence[Any]], list[Any]]
"""``compute(job, items)``: ``[job(handler, item) for item in items]`` on the engine's workers."""


@dataclass(frozen=True)
class Setting:
    """The simulation as a strategy sees it: only what a server would know.

    Attributes:
        num_clients: Registered clients.
        image: Shape and classes of the images.
        buffers: Names of the model's arrays that are not trained (BatchNorm statistics).
        frozen: Names of its parameters that are not trained either (``requires_grad`` false).
        compute: Heavy work on the engine's workers, see :data:`ServerCompute`.
        sizes: ``(num_clients,)`` training samples of each client.
        clock: Virtual time, for strategies that live by it; None: no clock runs.
    """

    config: SimulationConfig
    num_clients: int
    image: ImageSpec
    buffers: frozenset[str]
    compute: ServerCompute
    sizes: np.ndarray
    clock: VirtualClock | None = None
    frozen: frozenset[str] = frozenset()

    @property
    def seed(self) -> int:
        """Seed of the run."""
        return self.config.seed

    def reachable(self) -> Sequence[int] | np.ndarray:
        """Clients that could be asked to train now, ascending."""
        return range(self.num_clients) if self.clock is None else self.clock.reachable()

    def num_asked(self, clients_per_round: int | None) -> int:
        """How many clients to ask for that many updates, of those that can be reached.

        More than are wanted with ``devices.over_commit``; None: everybody.
        """
        there = len(self.reachable())
        if clients_per_round is None:
            return there
        beyond = 0.0 if self.clock is None else self.clock.fleet.config.over_commit
        return min(math.ceil(clients_per_round * (1.0 + beyond) - 1e-9), there)

    def evaluated_clients(self, round_: int) -> list[int]:
        """Clients evaluated in a round, in ascending order."""
        wanted = self.config.evaluate.clients
        if wanted == "all" or wanted >= self.num_clients:
            return list(range(self.num_clients))
        rng = numpy_rng(self.seed, "evaluated", round_)
        return sorted(int(i) for i in rng.choice(self.num_clients, wanted, replace=False))
