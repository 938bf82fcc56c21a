"""A pilot: some rounds of the real simulation, timed in this process and then thrown away.

Strategy, model, hooks and data are the real ones, so that a method of the user's own is timed as
well as a built-in. Cohorts are cut down to a few clients, evaluation to a few hundred, and the
amounts that configurations declare (:mod:`fedzda.platform.costs.hints`) to a share of them. On a
CPU what counts is processor time: a forecast is for a machine that does nothing else.
"""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fedzda.platform.config import InlineConfig, SimulationConfig
from fedzda.platform.costs.hints import shortened
from fedzda.platform.costs.rounds import Jobs
from fedzda.platform.data.store import cache_root
from fedzda.platform.devices.work import samples_seen
from fedzda.platform.engines.grid import FIRST_NODE, REDUCE
from fedzda.platform.engines.inline import InlineEngine
from fedzda.platform.records import array_record
from fedzda.platform.rounds import RoundLoop, seeded_globals
from fedzda.platform.runs import RunFolder

if TYPE_CHECKING:
    from fedzda.platform.simulation import Simulation

MOST_EVALUATED = 256
"""Clients that a pilot evaluates at most."""
_GROWTH = 1.3
"""Growth from one share to another that counts as such."""
_Clock = Callable[[], float]


@dataclass(frozen=True)
class Timed:
    """One round in one process, scaled up from the pilot's clients to the whole round.

    Attributes:
        cohort: Clients that the strategy asked to train.
        reduced: The strategy gets the mean instead of the models.
        schedule_sec: The driver, before training, without jobs.
        client_sec: Training of one client, with all that the driver does for it.
        aggregate_sec: The driver, after training, without jobs.
        evaluated: Clients evaluated, over all stages and splits.
        evaluate_sec: Evaluation of one of them, with all that the driver does for it.
        record_sec: The round's part of the client table.
        before: Jobs before training.
        after: Jobs after it.
        rows: Rows of the client table.
        checkpoint_sec: A checkpoint, with the states of the pilot's clients.
        kept: Clients whose states it holds.
        state_bytes: What one client keeps between rounds.
    """

    cohort: int
    reduced: bool
    schedule_sec: float
    client_sec: float
    aggregate_sec: float
    evaluated: int
    evaluate_sec: float
    record_sec: float
    before: tuple[Jobs, ...]
    after: tuple[Jobs, ...]
    rows: int
    checkpoint_sec: float
    kept: int
    state_bytes: float


class TimedEngine(InlineEngine):
    """The inline engine, with a note of how long each job of the strategy took."""

    clock: _Clock

    def start(self) -> None:
        """Build the worker."""
        super().start()
        self.jobs: list[list[float]] = []

    def map(self, job: Callable[[Any, Any], Any], items: Sequence[Any]) -> list[Any]:
        """See :meth:`Engine.map`."""
        results, seconds = [], []
        for item in items:
            start = self.clock()
            results += super().map(job, [item])
            seconds.append(self.clock() - start)
        self.jobs.append(seconds)
        return results

    def take_jobs(self) -> list[list[float]]:
        """Seconds of the jobs since the last call, by call of :meth:`map`."""
        taken, self.jobs = self.jobs, []
        return taken


class Pilot:
    """Plays rounds of a simulation with few clients; see :func:`piloted`.

    Attributes:
        played_sec: What the last round took, without writing to the disk.
    """

    played_sec = 0.0

    def __init__(self, simulation: Simulation, loop: RoundLoop, engine: TimedEngine) -> None:
        self.loop = loop
        self.engine = engine
        self.clock = engine.clock
        engine.take_jobs()  # what was asked to set up the loop
        self.arrays = array_record(simulation.model.state_dict())
        self.work = work_of(simulation)
        self.whole_evaluation = _evaluated_clients(simulation.config, len(self.work))

    def play(self, round_: int, clients: int) -> Timed:
        """A round in which at most ``clients`` of the cohort train."""
        loop, marks = self.loop, [self.clock()]
        loop.grid.round = round_
        with seeded_globals(loop.config.seed, round_):
            asked = loop.ask(round_, self.arrays)
            marks.append(self.clock())
            before = self.engine.take_jobs()
            few = self._few(asked, clients)
            replies = loop.grid.send_and_receive(few)
            marks.append(self.clock())
            self.engine.take_jobs()
            loop.strategy.aggregate_train(round_, replies)
            marks.append(self.clock())
            after = self.engine.take_jobs()
            if self.whole_evaluation:
                loop._evaluate(round_, self.arrays)
            marks.append(self.clock())
        self.played_sec = marks[-1] - marks[0]
        rows = len(loop.recorder.rows)
        disk = (
            _wall(lambda: loop.recorder.flush(round_)),
            _wall(lambda: loop._checkpoint(round_, self.arrays)),
        )
        return self._scaled(asked, few, marks, (before, after), rows, disk)

    def _few(self, asked: list[Any], clients: int) -> list[Any]:
        """Messages to clients with little and with much to do, in the order of ``asked``."""
        if len(asked) <= clients:
            return asked
        by_work = sorted(
            range(len(asked)), key=lambda i: self.work[asked[i].metadata.dst_node_id - FIRST_NODE]
        )
        middle = [int((i + 0.5) * len(asked) / clients) for i in range(clients)]
        return [asked[i] for i in sorted(by_work[m] for m in middle)]

    def _scaled(
        self,
        asked: list[Any],
        few: list[Any],
        marks: list[float],
        jobs: tuple[list[list[float]], list[list[float]]],
        rows: int,
        disk: tuple[float, float],
    ) -> Timed:
        spent = [end - start for start, end in pairwise(marks)]
        share = len(asked) / len(few)
        stages = len(self.loop.stages) * (2 if self.loop.config.evaluate.train_split else 1)
        seen = min(self.whole_evaluation, MOST_EVALUATED)
        grown = max(share, self.whole_evaluation / max(seen, 1))
        states = self.loop.grid.states
        return Timed(
            cohort=len(asked),
            reduced=any(REDUCE in record for record in few[0].content.config_records.values()),
            schedule_sec=spent[0] - sum(map(sum, jobs[0])),
            client_sec=spent[1] / len(few) * self._work_ratio(asked, few),
            aggregate_sec=(spent[2] - sum(map(sum, jobs[1]))) * share,
            evaluated=self.whole_evaluation * stages,
            evaluate_sec=spent[3] / max(seen * stages, 1),
            record_sec=disk[0] * grown,
            before=tuple(_jobs(call, 1.0) for call in jobs[0]),
            after=tuple(_jobs(call, share) for call in jobs[1]),
            rows=round(rows * grown),
            checkpoint_sec=disk[1],
            kept=len(states),
            state_bytes=max((state.num_bytes() for state in states.values()), default=0),
        )

    def _work_ratio(self, asked: list[Any], few: list[Any]) -> float:
        """Mean work of the whole cohort over that of the few that were timed."""

        def mean(messages: list[Any]) -> float:
            nodes = [message.metadata.dst_node_id - FIRST_NODE for message in messages]
            return max(float(self.work[nodes].mean()), 1.0)

        return mean(asked) / mean(few)


def work_of(simulation: Simulation) -> np.ndarray:
    """``(N,)`` what a client's training is worth: the samples of its steps or, where devices run
    forms of the model of their own, the multiply-adds of these in as many forward passes."""
    seen = samples_seen(simulation.federation.sizes("train"), simulation.config.local)
    fleet = simulation.fleet
    if fleet is None or fleet.forms is None:
        return seen
    macs = np.array([form.training_macs for form in fleet.forms])
    work: np.ndarray = seen * macs[fleet.kind]
    return work


def _wall(work: Callable[[], None]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _jobs(seconds: list[float], share: float) -> Jobs:
    """Jobs of one call; one alone stays alone however many clients there are."""
    count = len(seconds) if len(seconds) == 1 else math.ceil(len(seconds) * share)
    return Jobs(count, sum(seconds) / max(len(seconds), 1))


def _evaluated_clients(config: SimulationConfig, registered: int) -> int:
    wanted = config.evaluate.clients
    if config.evaluate.every == 0:
        return 0
    return registered if wanted == "all" else min(wanted, registered)


@contextmanager
def piloted(simulation: Simulation, share: float, steps: int | None = None) -> Iterator[Pilot]:
    """A pilot with a ``share`` of the declared amounts, and at most ``steps`` local steps."""
    from fedzda.platform.engines.base import device_of
    from fedzda.platform.simulation import Simulation

    config = simulation.config
    every = 1 if config.evaluate.every else 0
    whole = _evaluated_clients(config, simulation.federation.num_clients)
    evaluated = max(1, min(MOST_EVALUATED, whole))
    wanted: Any = config.engine
    changed: dict[str, Any] = {
        "strategy": shortened(config.strategy, share),
        "evaluate": config.evaluate.model_copy(update={"every": every, "clients": evaluated}),
        "engine": InlineConfig(device=wanted.device, vectorise=wanted.vectorise),
        "on_client_error": "fail",
    }
    if steps is not None:
        changed["local"] = config.local.model_copy(update={"steps": steps})
    short = Simulation(
        config.model_copy(update=changed),
        simulation.federation,
        simulation.model,
        simulation.folder,
        [],
    )
    with tempfile.TemporaryDirectory(dir=cache_root(), prefix="pilot-") as name:
        folder = RunFolder(Path(name))
        made = short._engine()
        engine = TimedEngine(made.config, made.spec, made.seed, made.num_clients)
        cpu = device_of(made.config.device) == "cpu"
        engine.clock = time.process_time if cpu else time.perf_counter
        engine.start()
        yield Pilot(short, short._loop(engine, folder, [], None), engine)


def extrapolated(low: Timed, high: Timed, shares: tuple[float, float]) -> Timed:
    """What a round costs with the whole amounts, from rounds with two shares of them."""
    reach = (1.0 - shares[0]) / (shares[1] - shares[0])

    def line(first: float, second: float) -> float:
        if second < _GROWTH * first:  # it does not depend on the amounts: the rest is noise
            return min(first, second)
        return first + (second - first) * reach

    changed: dict[str, Any] = {
        name: line(getattr(low, name), getattr(high, name))
        for name in ("schedule_sec", "client_sec", "aggregate_sec")
    }
    for name in ("before", "after"):
        pairs = zip(getattr(low, name), getattr(high, name), strict=True)
        changed[name] = tuple(Jobs(b.count, line(a.sec, b.sec)) for a, b in pairs)
    return replace(high, **changed)


def quickest(rounds: Sequence[Timed]) -> Timed:
    """The least of every figure: what disturbs a measurement only makes it longer."""
    least: dict[str, Any] = {
        own.name: min(getattr(one, own.name) for one in rounds)
        for own in fields(Timed)
        if own.name.endswith("_sec")
    }
    for name in ("before", "after"):
        calls = zip(*(getattr(one, name) for one in rounds), strict=True)
        least[name] = tuple(min(call, key=lambda jobs: jobs.sec) for call in calls)
    return replace(rounds[0], **least)
