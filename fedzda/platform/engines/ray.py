"""Ray actors: a laptop's cores, a GPU box, or a cluster. Ray is imported only here.

The model travels once per round through the object store and is read by all workers of a machine
without a copy. A worker that dies is replaced and its chunk runs again: as randomness depends on
(seed, round, client) only, the result is the same.
"""

from __future__ import annotations

import logging
import os
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import ray
from ray.exceptions import GetTimeoutError, RayActorError

from fedzda.base import RunError
from fedzda.platform.config import RayConfig
from fedzda.platform.engines.base import Engine, cores
from fedzda.platform.engines.calls import Chunk, ChunkResult, HandlerSpec
from fedzda.platform.engines.worker import Worker, worker_environment

_READY_TIMEOUT_SEC = 60.0
_MAX_ATTEMPTS = 3


class RayWorker:
    """A :class:`Worker` inside a Ray actor."""

    def __init__(self, spec: HandlerSpec, seed: int, client_timeout: float | None) -> None:
        self.worker = Worker(spec, seed, client_timeout)

    def ready(self) -> int:
        """The process id, once the handler is built."""
        return os.getpid()

    def run(self, chunk: Chunk, slots: list[dict[str, int]], *shared: Any) -> ChunkResult:
        """Put the shared arrays back into the calls and carry the chunk out."""
        for call, names in zip(chunk.calls, slots, strict=True):
            call.content.arrays = {name: shared[slot] for name, slot in names.items()}
        return self.worker.run(chunk)

    def compute(self, job: Callable[[Any, Any], Any], item: Any) -> Any:
        """A job of the strategy."""
        return self.worker.compute(job, item)


class RayEngine(Engine):
    """Carries out chunks on a pool of Ray actors."""

    config: RayConfig

    def start(self) -> None:
        """Start or join Ray and wait for the workers."""
        self._started_ray = not ray.is_initialized()
        if self._started_ray:
            self._start_ray()
        self._count, self._gpus = self._size()
        self._idle: list[Any] = []
        self._broadcast: dict[int, Any] = {}
        actors = [self._spawn() for _ in range(self._count)]
        for actor in actors:
            self._wait_ready(actor)
        self._idle = actors

    def _start_ray(self) -> None:
        os.environ.update(worker_environment())
        quiet: dict[str, Any] = {
            "include_dashboard": False,
            "log_to_driver": False,
            "logging_level": logging.ERROR,
            "configure_logging": True,
        }
        if self.config.address:
            ray.init(address=self.config.address, log_to_driver=False)
            return
        workers = self.config.workers
        cpus = workers if isinstance(workers, int) else cores()
        ray.init(
            num_cpus=max(cpus, 1),
            object_store_memory=self.config.object_store_mb * 2**20,
            _system_config={"automatic_object_spilling_enabled": True},
            **quiet,
        )

    def _size(self) -> tuple[int, float]:
        """Number of workers and the share of a GPU each gets."""
        total: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
        gpus = 0.0 if self.config.device == "cpu" else float(total.get("GPU", 0.0))
        wanted = self.config.workers
        count = wanted if isinstance(wanted, int) else max(int(total.get("CPU", 1)), 1)
        if self.config.gpus_per_worker != "auto":
            return count, float(self.config.gpus_per_worker)
        return count, gpus / count if gpus else 0.0

    def _spawn(self) -> Any:
        actor: Any = ray.remote(num_cpus=1, num_gpus=self._gpus, max_restarts=0)(RayWorker)
        return actor.remote(self.spec, self.seed, self.config.client_timeout)

    def _wait_ready(self, actor: Any) -> None:
        try:
            ray.get(actor.ready.remote(), timeout=_READY_TIMEOUT_SEC)
        except GetTimeoutError as error:
            free: dict[str, float] = ray.available_resources()  # type: ignore[no-untyped-call]
            raise RunError(
                f"a Ray worker was not ready within {_READY_TIMEOUT_SEC:.0f} s: it needs 1 CPU and "
                f"{self._gpus:g} GPU, and Ray has {free.get('CPU', 0):g} CPU and "
                f"{free.get('GPU', 0):g} GPU free. Lower engine.workers or engine.gpus_per_worker."
            ) from error
        except RayActorError as error:
            raise RunError(f"a Ray worker could not start: {error}") from error

    @property
    def num_workers(self) -> int:
        """Number of actors."""
        return self._count

    def run(self, chunks: Iterable[Chunk]) -> Iterator[ChunkResult]:
        """See :meth:`Engine.run`."""
        start = time.perf_counter()
        tasks = [self._pack(chunk) for chunk in chunks]
        self.transfer_sec += time.perf_counter() - start
        try:
            for _, result in self._serve([(_run_chunk, task) for task in tasks]):
                yield result
        finally:
            self._broadcast.clear()

    def map(self, job: Callable[[Any, Any], Any], items: Sequence[Any]) -> list[Any]:
        """See :meth:`Engine.map`."""
        results: list[Any] = [None] * len(items)
        for index, result in self._serve([(_run_job, (job, ray.put(item))) for item in items]):
            results[index] = result
        return results

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
            content = type(call.content)({}, call.content.metrics, call.content.configs)
            calls.append(type(call)(call.client, call.phase, call.round, content, call.state))
        light = Chunk(chunk.index, calls, chunk.reduce, chunk.retry)
        return (light, slots, *[ref for _, ref in refs.values()])

    def _serve(
        self, tasks: list[tuple[Callable[..., Any], tuple[Any, ...]]]
    ) -> Iterator[tuple[int, Any]]:
        """Hand tasks to idle actors; replace actors that die and run their task again."""
        waiting = deque((index, 1) for index in range(len(tasks)))
        running: dict[Any, tuple[int, int, Any]] = {}
        while waiting or running:
            while waiting and self._idle:
                index, attempt = waiting.popleft()
                actor = self._idle.pop()
                submit, arguments = tasks[index]
                running[submit(actor, *arguments)] = (index, attempt, actor)
            done, _ = ray.wait(list(running), num_returns=1)
            index, attempt, actor = running.pop(done[0])
            try:
                result = ray.get(done[0])
            except RayActorError as error:
                if attempt >= _MAX_ATTEMPTS:
                    raise RunError(
                        f"a Ray worker died {attempt} times at the same work: {error}"
                    ) from error
                actor = self._spawn()
                waiting.appendleft((index, attempt + 1))
            else:
                yield index, result
            self._idle.append(actor)

    def stop(self) -> None:
        """End the actors, and Ray if this run started it."""
        for actor in getattr(self, "_idle", []):
            ray.kill(actor)
        self._idle = []
        if getattr(self, "_started_ray", False):
            ray.shutdown()


def _run_chunk(actor: Any, light: Chunk, slots: list[dict[str, int]], *refs: Any) -> Any:
    return actor.run.remote(light, slots, *refs)


def _run_job(actor: Any, job: Callable[[Any, Any], Any], item: Any) -> Any:
    return actor.compute.remote(job, item)
