"""What becomes of a chunk whose worker was lost: run again, taken apart, or one client blamed.

A worker that dies may be anybody's fault (the memory killer, a node that goes away), so a chunk is
simply run once more. A chunk that loses its second worker is taken apart, and its calls run one by
one; a call that loses two workers all by itself is given up, and its client is named. Everybody
else's replies are put together again in the order of the calls, so the sum is bit for bit that of a
chunk in which the client failed by raising an exception.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from fedzda.platform.engines.calls import Chunk, ChunkResult, Reply
from fedzda.platform.engines.worker import new_total, sum_leaves

_TRIES = 2


@dataclass
class Task:
    """What one worker gets at a time: a chunk, or a single call of a chunk taken apart.

    Attributes:
        whole: The chunk that ``chunk`` is a part of; None: ``chunk`` itself is whole.
        position: Which call of ``whole`` it is.
        faults: How often it was tried in vain.
        second_try: Whether the client had failed, and runs once more as ``on_client_error`` says.
    """

    chunk: Chunk
    whole: Chunk | None = None
    position: int = 0
    faults: int = 0
    second_try: bool = False


@dataclass(frozen=True)
class Fault:
    """Why a task gave no result.

    Attributes:
        reason: For the user; it names the first client of the task.
        certain: The task itself did it: trying again would only show it again.
    """

    reason: str
    certain: bool = False


class Recovery:
    """Keeps the replies of chunks that were taken apart until they are complete."""

    def __init__(self) -> None:
        self._parts: dict[int, dict[int, Reply]] = {}

    def after(self, task: Task, fault: Fault) -> list[Task] | ChunkResult:
        """What to run now instead of ``task``, or the result that gives its client up."""
        task.faults += 1
        if len(task.chunk.calls) > 1:
            return [task] if task.faults < _TRIES and not fault.certain else _take_apart(task.chunk)
        if task.faults < _TRIES and (not fault.certain or task.chunk.retry):
            task.second_try = fault.certain
            return [task]
        lost = Reply(task.chunk.calls[0].client, error=fault.reason, retried=task.second_try)
        return ChunkResult(task.chunk.index, [lost], new_total(task.chunk.reduce))

    def settle(self, task: Task, result: ChunkResult) -> ChunkResult | None:
        """The result of the whole chunk; None while other parts of it are still missing."""
        if task.second_try:
            result.replies[0].retried = True
        whole = task.whole
        if whole is None:
            return result
        parts = self._parts.setdefault(whole.index, {})
        parts[task.position] = result.replies[0]
        hopeless = whole.fail_fast and result.replies[0].error
        if len(parts) < len(whole.calls) and not hopeless:
            return None
        del self._parts[whole.index]
        replies = [parts[position] for position in sorted(parts)]
        return ChunkResult(whole.index, replies, sum_leaves(whole, replies))


def _take_apart(chunk: Chunk) -> list[Task]:
    """One task per call. Models come back one by one, as they are summed up in order later."""
    return [
        Task(replace(chunk, calls=[call], sizes=[1], reduce=""), chunk, position)
        for position, call in enumerate(chunk.calls)
    ]
