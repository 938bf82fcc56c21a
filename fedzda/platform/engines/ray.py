"""Ray actors: a laptop's cores, a GPU box, or a cluster. Ray is imported only here and beside.

The model travels once per round through the object store and is read by all workers of a machine
without a copy. A worker that dies, hangs or grows too large is replaced, and nothing is lost: as
randomness depends on (seed, round, client) only, work that is run again gives the same result.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import ray
import torch
from ray.exceptions import RayError

from fedzda.base import RunError, UserError
from fedzda.platform.config import RayConfig
from fedzda.platform.engines import cluster
from fedzda.platform.engines.base import Engine
from fedzda.platform.engines.calls import Chunk, ChunkResult, HandlerSpec
from fedzda.platform.engines.pace import Pace
from fedzda.platform.engines.placement import Footprint, Placement, place
from fedzda.platform.engines.pool import Ended, Pool
from fedzda.platform.engines.recovery import Fault, Recovery, Task
from fedzda.platform.engines.worker import Worker, resident_mb

_FROZEN_GRACE_SEC = 10.0
"""Time after which a chunk counts as hung, beyond the time its clients may take: for processes and
machines that stand still, so that not even the watchdog inside the worker runs."""
_MAX_JOB_TRIES = 3
_MEASURE_TIMEOUT_SEC = 120.0
_T = TypeVar("_T")


class RayWorker:
    """A :class:`Worker` inside a Ray actor."""

    def __init__(self, spec: HandlerSpec, seed: int, client_timeout: float | None) -> None:
        self.worker = Worker(spec, seed, client_timeout, expendable=True)

    def ready(self) -> float:
        """Resident memory in MiB, once the handler is built."""
        return resident_mb()

    def footprint(self) -> Footprint:
        """What this process takes of its GPU while the heaviest client trains."""
        self.worker.handler.rehearse()
        free, total = torch.cuda.mem_get_info()
        return Footprint(total - free, total)

    def run(self, chunk: Chunk, slots: list[dict[str, int]], *shared: Any) -> ChunkResult:
        """Put the shared arrays back into the calls and carry the chunk out."""
        start = time.perf_counter()
        for call, names in zip(chunk.calls, slots, strict=True):
            call.content.arrays = {name: shared[slot] for name, slot in names.items()}
        result = self.worker.run(chunk)
        result.rss_mb = resident_mb()
        result.busy_sec = time.perf_counter() - start
        return result

    def compute(self, job: Callable[[Any, Any], Any], item: Any) -> Any:
        """A job of the strategy."""
        return self.worker.compute(job, item)


class RayEngine(Engine):
    """Carries out chunks on a pool of Ray actors."""

    config: RayConfig
    _started_ray = False
    _pool: Pool | None = None

    def start(self) -> None:
        """Start or join Ray and wait for the workers."""
        if not ray.is_initialized():
            self._started_ray = True
            if self.config.address:
                cluster.join(self.config.address, self.spec.plugin_folders)
                self.spec = replace(self.spec, plugin_folders=())
            else:
                cluster.start_local(self.config)
        placement = self._placement()
        self._count, gpus = placement.workers, placement.gpus
        self._broadcast: dict[int, Any] = {}
        self._pace = Pace(self.num_clients)
        actor: Any = ray.remote(num_cpus=1, num_gpus=gpus, max_restarts=0)(RayWorker)
        arguments = (self.spec, self.seed, self.config.client_timeout)
        needs = f"1 CPU and {gpus:g} GPU"
        self._pool = Pool(lambda: actor.remote(*arguments), self._count, needs)
        self._check_limit(self._pool.start())

    def _placement(self) -> Placement:
        total: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
        device = self.spec.arguments.get("device", self.config.device)
        gpus = 0 if device == "cpu" else int(total.get("GPU", 0))
        cpus = max(int(total.get("CPU", 1)), 1)
        return place(self.config, cpus, gpus, self._footprint)

    def _footprint(self) -> Footprint:
        """Measured by a worker that has a GPU to itself, and that is then given up."""
        actor: Any = ray.remote(num_cpus=1, num_gpus=1, max_restarts=0)(RayWorker)
        worker = actor.remote(self.spec, self.seed, self.config.client_timeout)
        try:
            footprint: Footprint = ray.get(worker.footprint.remote(), timeout=_MEASURE_TIMEOUT_SEC)
        except RayError as error:
            raise RunError(f"a first worker could not use the GPU: {error}") from error
        finally:
            ray.kill(worker)
        return footprint

    def _check_limit(self, fresh_mb: float) -> None:
        limit = self.config.max_worker_mb
        if limit is not None and fresh_mb >= limit:
            raise UserError(
                f"engine.max_worker_mb is {limit}, but a fresh worker takes {fresh_mb:.0f} MiB "
                "already. Raise it well above that, or leave it out."
            )

    @property
    def num_workers(self) -> int:
        """Number of actors."""
        return self._count

    def smallest_chunk(self, phase: str) -> int:
        """See :meth:`Engine.smallest_chunk`."""
        return self._pace.smallest_chunk(phase)

    def run(self, chunks: Iterable[Chunk]) -> Iterator[ChunkResult]:
        """See :meth:`Engine.run`."""
        recovery = Recovery()
        waiting = deque(Task(chunk) for chunk in self._pace.longest_first(chunks))
        try:
            for ended in self._drive(waiting, self._submit_chunk):
                task: Task = ended.task
                outcome = ended.value
                if outcome is None:
                    outcome = recovery.after(task, self._fault(ended))
                if isinstance(outcome, list):
                    waiting.extendleft(reversed(outcome))
                    continue
                self._recycle(ended, outcome)
                self._pace.learn(task.chunk, outcome, ended.seconds)
                whole = recovery.settle(task, outcome)
                if whole is not None:
                    yield whole
        finally:
            self._broadcast.clear()

    def map(self, job: Callable[[Any, Any], Any], items: Sequence[Any]) -> list[Any]:
        """See :meth:`Engine.map`."""
        results: list[Any] = [None] * len(items)
        tries = [0] * len(items)
        waiting = deque(range(len(items)))
        refs = [ray.put(item) for item in items]

        def submit(pool: Pool, index: int) -> None:
            tries[index] += 1
            pool.submit(index, lambda actor: actor.compute.remote(job, refs[index]))

        for ended in self._drive(waiting, submit):
            if ended.raised is not None:
                raise ended.raised
            if not ended.lost:
                results[ended.task] = ended.value
            elif tries[ended.task] < _MAX_JOB_TRIES:
                waiting.appendleft(ended.task)
            else:
                raise RunError(
                    f"a Ray worker died {_MAX_JOB_TRIES} times at the same work of the strategy: "
                    f"{ended.lost}"
                )
        return results

    def _drive(self, waiting: deque[_T], submit: Callable[[Pool, _T], None]) -> Iterator[Ended]:
        """Keep all workers at work until nothing waits any more and nothing runs."""
        assert self._pool is not None, "start() comes first"
        pool = self._pool
        pool.fill()
        try:
            while waiting or pool.busy:
                while waiting and pool.idle:
                    submit(pool, waiting.popleft())
                ended = pool.wait()
                if ended is not None:
                    yield ended
        finally:
            pool.drop_busy()

    def _submit_chunk(self, pool: Pool, task: Task) -> None:
        start = time.perf_counter()
        arguments = self._pack(task.chunk)
        pool.submit(task, lambda actor: actor.run.remote(*arguments), self._limit_sec(task.chunk))
        self.transfer_sec += time.perf_counter() - start

    def _limit_sec(self, chunk: Chunk) -> float | None:
        if self.config.client_timeout is None:
            return None
        tries = 2 if chunk.retry else 1
        return self.config.client_timeout * len(chunk.calls) * tries + _FROZEN_GRACE_SEC

    def _pack(self, chunk: Chunk) -> tuple[Any, ...]:
        """The chunk without its arrays, and references to arrays that are stored only once."""
        refs: dict[int, tuple[int, Any]] = {}
        slots, calls = [], []
        for call in chunk.calls:
            names = {}
            for name, arrays in call.content.arrays.items():
                if id(arrays) not in self._broadcast:
                    self._broadcast[id(arrays)] = ray.put(arrays)
                refs.setdefault(id(arrays), (len(refs), self._broadcast[id(arrays)]))
                names[name] = refs[id(arrays)][0]
            slots.append(names)
            calls.append(replace(call, content=replace(call.content, arrays={})))
        light = replace(chunk, calls=calls)
        return (light, slots, *[ref for _, ref in refs.values()])

    def _fault(self, ended: Ended) -> Fault:
        """What to tell about a chunk without a result."""
        client = ended.task.chunk.calls[0].client
        if ended.raised is not None:
            return Fault(str(ended.raised), certain=True)
        limit = self.config.client_timeout
        alone = len(ended.task.chunk.calls) == 1
        if limit is not None and (ended.hung or (alone and ended.seconds > limit)):
            why = (
                f"client {client} took longer than client_timeout = {limit} s without reacting to "
                "it (native code?), so its worker process was ended"
            )
            return Fault(why, certain=True)
        return Fault(f"client {client} killed its worker process twice ({ended.lost})")

    def _recycle(self, ended: Ended, result: ChunkResult) -> None:
        limit = self.config.max_worker_mb
        if limit is not None and result.rss_mb > limit and self._pool is not None:
            self._pool.retire(ended.member)

    def stop(self) -> None:
        """End the actors without waiting for what they do, and Ray if this run started it."""
        if self._pool is not None:
            self._pool.close()
        if self._started_ray:
            ray.shutdown()
