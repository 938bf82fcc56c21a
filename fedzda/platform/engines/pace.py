"""What earlier rounds say about speed: who is slow, and what sending a chunk costs.

Clients that took long last time start early, so that workers end a round together; chunks get
larger where the journey to a worker costs more than the work. Only speed depends on it, results do
not, so it is no part of a checkpoint.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from fedzda.platform.engines.calls import Chunk, ChunkResult

_JOURNEY_SHARE = 0.1
"""The part of a chunk's time that its journey may take before chunks should be larger."""
_MEMORY = 0.8
"""How much of an average over chunks stays when another is measured."""


class Pace:
    """Seconds of clients and of journeys, by phase.

    Args:
        num_clients: Registered clients; each costs 4 bytes per phase.
    """

    def __init__(self, num_clients: int) -> None:
        self._num_clients = num_clients
        self._seconds: dict[str, np.ndarray] = {}
        self._typical: dict[str, float] = {}
        self._journey: dict[str, float] = {}
        self._work: dict[str, float] = {}

    def learn(self, chunk: Chunk, result: ChunkResult, seconds: float) -> None:
        """Take down what a chunk took: ``seconds`` from its start to its result."""
        phase, replies = chunk.calls[0].phase, result.replies
        done = [reply for reply in replies if not reply.error]
        if not done:
            return
        if phase not in self._seconds:
            self._seconds[phase] = np.full(self._num_clients, np.nan, np.float32)
        spent = np.array([reply.seconds for reply in done])
        self._seconds[phase][[reply.client for reply in done]] = spent
        self._typical[phase] = float(spent.mean())
        _average(self._journey, phase, seconds - result.busy_sec)
        _average(self._work, phase, result.busy_sec / len(replies))

    def longest_first(self, chunks: Iterable[Chunk]) -> list[Chunk]:
        """Chunks by falling expected seconds; a client never measured counts as a typical one."""
        return sorted(chunks, key=self._expected, reverse=True)

    def _expected(self, chunk: Chunk) -> float:
        phase = chunk.calls[0].phase
        if phase not in self._seconds:
            return float(len(chunk.calls))
        seconds = self._seconds[phase][[call.client for call in chunk.calls]]
        return float(np.where(np.isnan(seconds), self._typical[phase], seconds).sum())

    def smallest_chunk(self, phase: str) -> int:
        """Clients with whom the journey of a chunk is a small part of its time; 1 if unknown."""
        if phase not in self._work:
            return 1
        return smallest_chunk(self._journey[phase], self._work[phase])


def smallest_chunk(journey_sec: float, work_sec: float) -> int:
    """See :meth:`Pace.smallest_chunk`; ``work_sec`` is of one client."""
    return max(1, math.ceil(journey_sec / max(work_sec, 1e-6) * (1 / _JOURNEY_SHARE - 1)))


def _average(averages: dict[str, float], key: str, value: float) -> None:
    averages[key] = _MEMORY * averages.get(key, value) + (1 - _MEMORY) * value
