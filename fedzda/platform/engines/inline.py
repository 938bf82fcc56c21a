"""One process: no start-up cost, breakpoints work."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from fedzda.platform.engines.base import Engine
from fedzda.platform.engines.calls import Chunk, ChunkResult
from fedzda.platform.engines.worker import Worker


class InlineEngine(Engine):
    """Carries out chunks one after the other in the driver itself."""

    _worker: Worker

    def start(self) -> None:
        """Build the one worker."""
        self._worker = Worker(self.spec, self.seed, self.config.client_timeout)

    def run(self, chunks: Iterable[Chunk]) -> Iterator[ChunkResult]:
        """See :meth:`Engine.run`."""
        for chunk in chunks:
            with untouched_globals():
                result = self._worker.run(chunk)
            yield result

    def map(self, job: Callable[[Any, Any], Any], items: Sequence[Any]) -> list[Any]:
        """See :meth:`Engine.map`."""
        with untouched_globals():
            return [self._worker.compute(job, item) for item in items]

    def stop(self) -> None:
        """Nothing to give back."""


@contextmanager
def untouched_globals() -> Iterator[None]:
    """Restore the global random generators after a block.

    Clients seed them; a strategy that draws from them afterwards must find what it would find if
    the clients ran in other processes.
    """
    before = random.getstate(), np.random.get_state(), torch.get_rng_state()  # noqa: NPY002
    try:
        yield
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])  # noqa: NPY002
        torch.set_rng_state(before[2])
