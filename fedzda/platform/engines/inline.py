"""One process: no start-up cost, breakpoints work."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

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
        return map(self._worker.run, chunks)

    def map(self, job: Callable[[Any, Any], Any], items: Sequence[Any]) -> list[Any]:
        """See :meth:`Engine.map`."""
        return [self._worker.compute(job, item) for item in items]

    def stop(self) -> None:
        """Nothing to give back."""
