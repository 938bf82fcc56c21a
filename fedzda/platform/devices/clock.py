"""The virtual clock: one queue of events for rounds that wait and for updates that do not.

Every client that is asked becomes a :class:`Task` whose end is known when it starts, because what
it costs is known. Time then runs from end to end of tasks until enough have come in. A synchronous
round starts a cohort, lets time run and forgets who is left (:meth:`VirtualClock.collect`); an
asynchronous strategy lets tasks run on over rounds and starts new ones where some end
(:meth:`VirtualClock.advance`). Only clients whose update is used are really trained.

Ties are broken by the order of starting, and failures are a function of (seed, round, client), so
nothing depends on the engine.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable, Sequence
from dataclasses import astuple, dataclass, replace
from typing import Any

import numpy as np

from fedzda.base import RunError, numpy_rng
from fedzda.platform.devices.work import ExtraWork
from fedzda.platform.devices.workload import Workload
from fedzda.platform.engines.calls import Call
from fedzda.platform.records import Content

TIMED = "fedzda.timed"
"""Config key of a train request whose client has been through :meth:`VirtualClock.advance`."""
DONE, DROPPED, LEFT, LATE = "done", "dropped", "left", "late"
"""How a task ends: its update came in, it failed on the way, the device went away, or the round was
over before."""
FATES = (LATE, DROPPED, LEFT)
_TRAIN = "train"
_PATIENCE_SEC = 14 * 24 * 3600.0
"""How long the server waits for enough clients before it gives up: two weeks of every pattern."""


@dataclass(frozen=True, order=True)
class Task:
    """A client at work.

    Attributes:
        end: Virtual time at which it comes in or fails.
        number: How many tasks were started before.
        client: Client number.
        start: Virtual time at which it was asked.
        round: Round in which it was asked, whose model it has.
        down: Bytes that it received.
        fate: One of the four ways to end.
    """

    end: float
    number: int
    client: int
    start: float
    round: int
    down: int
    fate: str

    @property
    def seconds(self) -> float:
        """How long it takes."""
        return self.end - self.start


class VirtualClock:
    """Virtual time of a run.

    Args:
        workload: What requests cost.
        seed: Seed of the run.
        keep: Updates that a synchronous round uses at most; None: all.

    Attributes:
        now: Virtual seconds since the start of the run.
        tasks: Clients at work, a heap.
        finished: Tasks done since :meth:`take`, by client.
        lost: Tasks that ended otherwise since then.
    """

    def __init__(self, workload: Workload, seed: int, keep: int | None) -> None:
        self.workload = workload
        self.fleet = workload.fleet
        self.seed = seed
        self.keep = keep
        self.now = 0.0
        self.started = 0
        self.tasks: list[Task] = []
        self.finished: dict[int, Task] = {}
        self.lost: list[Task] = []

    # -- who is there ---------------------------------------------------------------------

    def reachable(self) -> Sequence[int] | np.ndarray:
        """Clients that could be asked now, ascending."""
        if self.fleet.always:
            return range(self.fleet.num_clients)
        return np.flatnonzero(self.fleet.following(self.now) <= self.now)

    def gather(self, wanted: int) -> None:
        """Let time pass until at least ``wanted`` clients are there at once.

        Raises:
            RunError: They never are.
        """
        if self.fleet.always:
            return
        limit = self.now + _PATIENCE_SEC
        while True:
            ready = self.fleet.following(self.now)
            # before the last of them comes there are fewer; then the first may have gone again
            earliest = float(np.partition(ready, wanted - 1)[wanted - 1])
            if earliest <= self.now:
                return
            if earliest > limit:
                raise RunError(
                    f"{wanted} clients are needed, but in two weeks of virtual time there are "
                    "never as many at once. Lower strategy.clients_per_round, or make devices "
                    "available for longer."
                )
            self.now = earliest

    # -- events ---------------------------------------------------------------------------

    def start(self, client: int, round_: int, content: Content) -> None:
        """Ask a client now to train as a request says."""
        down = self.workload.download(content, client)
        up = self.workload.upload(content, client)
        extra = ExtraWork.of(content.config())
        seconds = float(self.workload.train_sec(np.array([client]), down, up, round_, extra)[0])
        self._push(client, round_, down, *self._outcome(client, round_, seconds))

    def _outcome(self, client: int, round_: int, seconds: float) -> tuple[float, str]:
        """After how many seconds a client ends, and how."""
        chance = self.fleet.dropout(client)
        draw = float(numpy_rng(self.seed, "dropout", round_, client).random()) if chance else 1.0
        fate = DONE
        if draw < chance:
            seconds, fate = seconds * draw / chance, DROPPED  # at any point of its way
        stays = self.fleet.until(client, self.now) - self.now
        if stays < seconds:
            seconds, fate = max(stays, 0.0), LEFT
        return seconds, fate

    def _push(self, client: int, round_: int, down: int, seconds: float, fate: str) -> None:
        task = Task(self.now + seconds, self.started, client, self.now, round_, down, fate)
        heapq.heappush(self.tasks, task)
        self.started += 1

    def advance(
        self,
        wanted: int,
        until: float = math.inf,
        refill: Callable[[], None] | None = None,
    ) -> list[Task]:
        """Let time run until ``wanted`` updates have come in.

        Args:
            wanted: Updates to wait for.
            until: Virtual time after which nobody is waited for.
            refill: Called before time moves on, when places may have become free; may call
                :meth:`start`.

        Returns:
            The tasks that were done, in the order in which they came in; fewer than ``wanted`` if
            nobody is at work any more, or at ``until``.
        """
        done: list[Task] = []
        while len(done) < wanted:
            if refill is not None and not (self.tasks and self.tasks[0].end <= self.now):
                refill()
            if not self.tasks or self.tasks[0].end > until:
                break
            task = heapq.heappop(self.tasks)
            self.now = max(self.now, task.end)
            if task.fate == DONE:
                done.append(task)
                self.finished[task.client] = task
            else:
                self.lost.append(task)
        return done

    def collect(self, calls: Sequence[Call]) -> None:
        """A synchronous exchange: ask all at once, use the first ``keep`` until the deadline."""
        if calls[0].phase != _TRAIN:
            self._ask_all(calls)
            return
        for call in calls:
            self.start(call.client, call.round, call.content)
        wanted = min(self.keep or len(calls), len(calls))
        deadline = self.fleet.config.deadline
        until = math.inf if deadline is None else self.now + deadline
        done = self.advance(wanted, until)
        if self.tasks and len(done) < wanted:
            self.now = until
        self.lost += [replace(task, fate=LATE) for task in sorted(self.tasks)]
        self.tasks = []

    def _ask_all(self, calls: Sequence[Call]) -> None:
        """A question about the model, which nobody fails to answer."""
        for call in calls:
            down = self.workload.download(call.content, call.client)
            asked = np.array([call.client])
            seconds = float(self.workload.query_sec(asked, down, call.round)[0])
            self._push(call.client, call.round, down, seconds, DONE)
        self.advance(len(calls))

    def take(self) -> tuple[dict[int, Task], list[Task]]:
        """Tasks that were done, by client, and those lost, since the last call."""
        finished, lost = self.finished, self.lost
        self.finished, self.lost = {}, []
        return finished, lost

    # -- checkpoint -----------------------------------------------------------------------

    def state(self) -> dict[str, Any]:
        """Everything that decides how time goes on, for JSON."""
        tasks = [list(astuple(task)) for task in self.tasks]
        return {"now": self.now, "started": self.started, "tasks": tasks}

    def load_state(self, state: dict[str, Any]) -> None:
        """Take over a :meth:`state`."""
        self.now, self.started = state["now"], state["started"]
        self.tasks = [Task(*task) for task in state["tasks"]]
