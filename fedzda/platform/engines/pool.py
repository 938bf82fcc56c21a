"""Worker processes as Ray actors: started, replaced when they die, killed when they hang."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import ray
from ray.exceptions import RayActorError, RayError, RayTaskError

from fedzda.base import RunError

_READY_TIMEOUT_SEC = 60.0
_MAX_FAILED_STARTS = 3
_STARTING = object()
_log = logging.getLogger(__name__)


@dataclass(eq=False)
class Member:
    """One actor, and what it is doing."""

    actor: Any
    task: Any = None
    since: float = 0.0
    until: float = math.inf


@dataclass
class Ended:
    """How a task ended.

    Attributes:
        task: What was given to :meth:`Pool.submit`.
        value: What the actor returned.
        raised: The exception that the actor raised instead; it lives on.
        lost: Why there is no answer: the actor is dead, or was killed because it hung.
        hung: It was killed because its time was over.
        seconds: How long the task ran.
    """

    task: Any
    member: Member
    value: Any = None
    raised: RayTaskError | None = None
    lost: str = ""
    hung: bool = False
    seconds: float = 0.0


class Pool:
    """Actors, one task each at a time.

    Args:
        create: Makes an actor with a method ``ready``.
        size: How many.
        needs: What an actor needs, for the message when there is no room for it.
    """

    def __init__(self, create: Callable[[], Any], size: int, needs: str) -> None:
        self._create = create
        self._needs = needs
        self._running: dict[Any, Member] = {}
        self._failed_starts = 0
        self._problem = ""
        self._largest_ready = 0.0
        self.size = size
        self.idle: list[Member] = []

    @property
    def busy(self) -> bool:
        """Whether a task is running."""
        return any(member.task is not _STARTING for member in self._running.values())

    def start(self) -> float:
        """Start all actors at once; the largest answer of their ``ready``.

        Raises:
            RunError: one of them cannot start; the message says why or what is missing.
        """
        self.fill()
        while self._running:
            self.wait()
        if len(self.idle) < self.size:
            raise RunError(self._problem)
        return self._largest_ready

    def fill(self) -> None:
        """Start actors until there are ``size`` of them; they come to be idle in :meth:`wait`."""
        while len(self.idle) + len(self._running) < self.size:
            member = Member(self._create())
            self._watch(member, member.actor.ready.remote(), _STARTING, _READY_TIMEOUT_SEC)

    def submit(self, task: Any, send: Callable[[Any], Any], limit_sec: float | None = None) -> None:
        """Give a task to an idle actor: ``send(actor)`` calls one of its methods.

        Args:
            limit_sec: Seconds after which the actor is killed.
        """
        member = self.idle.pop()
        self._watch(member, send(member.actor), task, limit_sec or math.inf)

    def _watch(self, member: Member, ref: Any, task: Any, limit_sec: float) -> None:
        member.task, member.since = task, time.monotonic()
        member.until = member.since + limit_sec
        self._running[ref] = member

    def wait(self) -> Ended | None:
        """Wait until something happens; None if it only was an actor that is ready now.

        Raises:
            RunError: no actor is left, and none can be started.
        """
        until = min(member.until for member in self._running.values())
        timeout = None if until == math.inf else max(0.0, until - time.monotonic())
        done, _ = ray.wait(list(self._running), num_returns=1, timeout=timeout)
        if done:
            return self._answer(done[0])
        for ref, member in list(self._running.items()):
            if member.until <= time.monotonic():
                return self._expire(ref, member)
        return None

    def _answer(self, ref: Any) -> Ended | None:
        member = self._running.pop(ref)
        ended = Ended(member.task, member, seconds=time.monotonic() - member.since)
        try:
            ended.value = ray.get(ref)
        except RayTaskError as error:
            ended.raised = error
        except RayError as error:
            ended.lost = _reason(error)
            return self._bury(ended, error)
        self.idle.append(member)
        if ended.task is not _STARTING:
            return ended
        self._failed_starts = 0
        self._largest_ready = max(self._largest_ready, ended.value)
        return None

    def _bury(self, ended: Ended, error: RayError) -> Ended | None:
        """An actor is dead: replace it."""
        ray.kill(ended.member.actor)  # one that is only out of reach must not come back
        if ended.task is _STARTING:
            self._failed_starts += 1
            self._problem = f"a Ray worker could not start: {error}"
            broken = isinstance(error, RayActorError) and error.actor_init_failed
            if broken or self._failed_starts >= _MAX_FAILED_STARTS:
                raise RunError(self._problem) from error
        _log.warning("a worker was lost and is replaced: %s", ended.lost)
        self.fill()
        return None if ended.task is _STARTING else ended

    def _expire(self, ref: Any, member: Member) -> Ended | None:
        """An actor took too long: kill it."""
        del self._running[ref]
        ray.kill(member.actor)
        if member.task is not _STARTING:
            _log.warning("a worker hung and is replaced")
            self.fill()
            return Ended(member.task, member, lost="it hung", hung=True)
        free: dict[str, float] = ray.available_resources()  # type: ignore[no-untyped-call]
        self._problem = (
            f"a Ray worker was not ready within {_READY_TIMEOUT_SEC:.0f} s: it needs {self._needs},"
            f" and Ray has {free.get('CPU', 0):g} CPU and {free.get('GPU', 0):g} GPU free. "
            "Lower engine.workers or engine.gpus_per_worker."
        )
        if not self._running and not self.idle:
            raise RunError(self._problem)
        _log.warning("%s Going on with fewer.", self._problem)
        return None

    def retire(self, member: Member) -> None:
        """Replace an idle actor."""
        self.idle.remove(member)
        ray.kill(member.actor)
        self.fill()

    def drop_busy(self) -> None:
        """Kill the actors that still have a task; :meth:`fill` starts others."""
        for ref, member in list(self._running.items()):
            if member.task is not _STARTING:
                del self._running[ref]
                ray.kill(member.actor)

    def close(self) -> None:
        """Kill all actors, whatever they are doing."""
        for member in (*self.idle, *self._running.values()):
            with suppress(Exception):  # Ray itself may be gone
                ray.kill(member.actor)
        self.idle, self._running = [], {}


def _reason(error: RayError) -> str:
    """The part of Ray's message that says how a process ended, on one line."""
    text = " ".join(str(error).split())
    return text.partition("Worker exit detail: ")[2] or text
