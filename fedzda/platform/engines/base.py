"""What an engine is: something that carries out chunks and jobs. Where they run is its business."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from fedzda.base import UserError
from fedzda.platform.config import EngineConfig
from fedzda.platform.engines.calls import Chunk, ChunkResult, HandlerSpec


class Engine(ABC):
    """Runs simulated clients.

    Args:
        config: The ``engine:`` block.
        spec: How workers build their handler.
        seed: Seed of the run.
        num_clients: Registered clients.
    """

    def __init__(
        self, config: EngineConfig, spec: HandlerSpec, seed: int, num_clients: int
    ) -> None:
        self.config = config
        self.spec = spec
        self.seed = seed
        self.num_clients = num_clients
        self.transfer_sec = 0.0

    def take_transfer_sec(self) -> float:
        """Seconds the driver spent on handing models to workers since the last call."""
        spent, self.transfer_sec = self.transfer_sec, 0.0
        return spent

    @abstractmethod
    def start(self) -> None:
        """Bring the workers up. Raises RunError or UserError with the missing resource."""

    @abstractmethod
    def run(self, chunks: Iterable[Chunk]) -> Iterator[ChunkResult]:
        """Carry out chunks; results come as they are ready, in any order."""

    @abstractmethod
    def map(self, job: Callable[[Any, Any], Any], items: Sequence[Any]) -> list[Any]:
        """``[job(handler, item) for item in items]``, in parallel where there are workers.

        ``job`` is a function at the top level of a module; results come in the order of the
        items. This is the ``ServerCompute`` of strategies. Exceptions of a job are raised.
        """

    @abstractmethod
    def stop(self) -> None:
        """Give everything back. Must not fail, whatever state the engine is in."""

    def smallest_chunk(self, phase: str) -> int:
        """How many clients a chunk should have to be worth its journey to a worker."""
        return 1

    @property
    def num_workers(self) -> int:
        """How many processes train at once."""
        return 1


SHARE = "FEDZDA_CORES"
"""Environment variable with the cores that a process may use beside others of the same sweep."""


def cores() -> int:
    """Cores this process may use: those of the machine, or its share of them."""
    several = hasattr(os, "sched_getaffinity")
    found = len(os.sched_getaffinity(0)) if several else os.cpu_count() or 1
    share = os.environ.get(SHARE, "")
    return min(found, int(share)) if share.isdecimal() and int(share) else found


def device_of(wanted: str) -> str:
    """``cpu`` or ``cuda``. Raises UserError if a GPU was asked for and torch sees none."""
    import torch

    if wanted == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if wanted == "cuda" and not torch.cuda.is_available():
        raise UserError("engine.device is 'cuda', but torch sees no GPU. Use 'auto' or 'cpu'.")
    return wanted


def vectorises(config: EngineConfig) -> bool:
    """Whether workers will try to train many clients at once."""
    return config.vectorise is True or (
        config.vectorise == "auto" and device_of(config.device) == "cuda"
    )
