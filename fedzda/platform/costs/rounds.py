"""Seconds of one round as a function of what it asks for.

The driver handles clients one after the other; workers share the rest. Chunks are those that the
grid would cut, so that an unlucky number of them costs what it costs.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, cast

from fedzda.platform.costs.rates import Rates
from fedzda.platform.engines.chunks import EVALUATED, ONE_BY_ONE, Leaves, cut
from fedzda.platform.engines.pace import smallest_chunk

PARTS = ("schedule", "transfer", "train", "aggregate", "evaluate", "record")
"""Parts of a round. ``transfer`` lies inside the others where workers are at work meanwhile."""


@dataclass(frozen=True)
class Jobs:
    """Heavy work of a strategy that workers share (``Setting.compute``): ``count`` of ``sec``."""

    count: int
    sec: float


@dataclass(frozen=True)
class Load:
    """What one round asks for.

    Attributes:
        cohort: Clients that train.
        registered: All clients.
        workers: Worker processes of Ray; 0: everything in one process.
        model_bytes: Size of the model's arrays.
        client_sec: Training of one client on a free core, without serving it.
        reduced: Workers sum the models up; else the strategy gets every one of them.
        evaluated: Clients that are evaluated; 0: none in this round.
        evaluate_sec: Evaluation of one of them on a free core.
        schedule_sec: What the strategy does before training in the driver, beside messages.
        aggregate_sec: What it does afterwards in the driver, beside averaging.
        before: Jobs of the strategy before training.
        after: Jobs of the strategy afterwards.
    """

    cohort: int
    registered: int
    workers: int
    model_bytes: float
    client_sec: float
    reduced: bool = True
    evaluated: int = 0
    evaluate_sec: float = 0.0
    schedule_sec: float = 0.0
    aggregate_sec: float = 0.0
    before: tuple[Jobs, ...] = field(default=())
    after: tuple[Jobs, ...] = field(default=())


def round_seconds(load: Load, rates: Rates) -> dict[str, float]:
    """Seconds by part, see :data:`PARTS`; their sum is the round."""
    model = 0.0 if not load.workers else load.model_bytes * rates.put_byte
    averaging = rates.aggregate if load.reduced else load.model_bytes * rates.combine_byte
    trained = load.client_sec + serving(load.model_bytes, load.reduced, rates)
    up = (rates.sum_byte if load.reduced else 0.0) * load.model_bytes
    one = 0.0 if load.reduced else load.model_bytes * rates.reply_byte
    return {
        "schedule": load.cohort * rates.schedule
        + load.registered * rates.registered
        + load.schedule_sec
        + jobs_seconds(load.before, load.workers, rates),
        "transfer": model * (2 if load.evaluated else 1),
        "train": _phase(load.cohort, trained, ONE_BY_ONE, load.workers, rates, up, one),
        "aggregate": load.cohort * averaging
        + load.aggregate_sec
        + jobs_seconds(load.after, load.workers, rates),
        "evaluate": _phase(load.evaluated, load.evaluate_sec, EVALUATED, load.workers, rates),
        "record": rates.round,
    }


def serving(model_bytes: float, reduced: bool, rates: Rates) -> float:
    """What a worker spends on a client beside its training."""
    per_byte = rates.load_byte + (rates.add_byte if reduced else 0.0)
    return rates.serve + model_bytes * per_byte


def _phase(
    clients: int,
    client_sec: float,
    leaves: Leaves,
    workers: int,
    rates: Rates,
    chunk_sec: float = 0.0,
    reply_sec: float = 0.0,
) -> float:
    """All clients of a phase, in the driver and on the workers."""
    if not clients:
        return 0.0
    alone = clients * rates.handle
    if not workers:
        return alone + clients * client_sec
    busy_sec = client_sec * rates.slowdown
    smallest = smallest_chunk(rates.journey, busy_sec)
    sizes = chunk_sizes(clients, leaves, workers, smallest)
    shared = makespan((size * busy_sec + rates.journey for size in sizes), workers)
    driver = len(sizes) * (rates.dispatch + chunk_sec) + clients * (rates.ray_client + reply_sec)
    return alone + max(shared, driver)


def jobs_seconds(calls: Iterable[Jobs], workers: int, rates: Rates) -> float:
    """Seconds of a strategy's jobs; those of one call run side by side."""
    total = 0.0
    for jobs in calls:
        if workers:
            at_once = min(workers, jobs.count)
            busy = jobs.sec * (1.0 + (rates.slowdown - 1.0) * (at_once > 1))
            total += math.ceil(jobs.count / workers) * (busy + rates.journey)
        else:
            total += jobs.count * jobs.sec
    return total


def chunk_sizes(clients: int, leaves: Leaves, workers: int, smallest: int) -> list[int]:
    """Clients of every chunk that the grid cuts."""
    # ``cut`` only slices the calls, so their numbers do as well
    calls = cast("list[Any]", range(clients))
    return [len(chunk.calls) for chunk in cut(calls, leaves.count(clients), workers, smallest)]


def makespan(tasks: Iterable[float], workers: int) -> float:
    """When the last of ``tasks`` is done, each given to the worker that is free first."""
    free = [0.0] * workers
    for seconds in sorted(tasks, reverse=True):
        heapq.heapreplace(free, free[0] + seconds)
    return max(free)


def driver_seconds(load: Load, rates: Rates) -> float:
    """What the driver itself does in a round on workers, whoever else is busy meanwhile."""
    chunks = len(_sizes(load, rates))
    up = (rates.sum_byte if load.reduced else 0.0) * load.model_bytes
    one = 0.0 if load.reduced else load.model_bytes * rates.reply_byte
    parts = round_seconds(load, rates)
    return (
        sum(parts[name] for name in ("schedule", "transfer", "aggregate", "record"))
        + load.cohort * (rates.handle + rates.ray_client + one)
        + chunks * (rates.dispatch + up)
    )


def worker_seconds(load: Load, rates: Rates) -> float:
    """When the last worker is done with training, if the driver never lets one wait."""
    busy_sec = _busy_sec(load, rates)
    tasks = (size * busy_sec + rates.journey for size in _sizes(load, rates))
    return makespan(tasks, load.workers)


def num_chunks(load: Load, rates: Rates) -> int:
    """Chunks that the cohort trains in."""
    return len(_sizes(load, rates))


def _busy_sec(load: Load, rates: Rates) -> float:
    served = serving(load.model_bytes, load.reduced, rates)
    return (load.client_sec + served) * rates.slowdown


def _sizes(load: Load, rates: Rates) -> list[int]:
    smallest = smallest_chunk(rates.journey, _busy_sec(load, rates))
    return chunk_sizes(load.cohort, ONE_BY_ONE, load.workers, smallest)
