"""Longest first: who took long last time starts early, so that workers end a round together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from fedzda.platform.engines.calls import Chunk, Reply


class Pace:
    """Seconds that every client took when it was last measured, by phase.

    Only speed depends on it, results do not, so it is no part of a checkpoint.

    Args:
        num_clients: Registered clients; each costs 4 bytes per phase.
    """

    def __init__(self, num_clients: int) -> None:
        self._num_clients = num_clients
        self._seconds: dict[str, np.ndarray] = {}
        self._typical: dict[str, float] = {}

    def learn(self, chunk: Chunk, replies: Sequence[Reply]) -> None:
        """Take down what the clients of a chunk took."""
        phase = chunk.calls[0].phase
        done = [reply for reply in replies if not reply.error]
        if not done:
            return
        if phase not in self._seconds:
            self._seconds[phase] = np.full(self._num_clients, np.nan, np.float32)
        seconds = np.array([reply.seconds for reply in done])
        self._seconds[phase][[reply.client for reply in done]] = seconds
        self._typical[phase] = float(seconds.mean())

    def longest_first(self, chunks: Iterable[Chunk]) -> list[Chunk]:
        """Chunks by falling expected seconds; a client never measured counts as a typical one."""
        return sorted(chunks, key=self._expected, reverse=True)

    def _expected(self, chunk: Chunk) -> float:
        phase = chunk.calls[0].phase
        if phase not in self._seconds:
            return float(len(chunk.calls))
        seconds = self._seconds[phase][[call.client for call in chunk.calls]]
        return float(np.where(np.isnan(seconds), self._typical[phase], seconds).sum())
