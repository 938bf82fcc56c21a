"""The work itself: a handler, fed chunk by chunk, in one process and in Ray actors alike."""

from __future__ import annotations

import ctypes
import faulthandler
import math
import os
import random
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fedzda.base import stream
from fedzda.platform import plugins
from fedzda.platform.averaging import ChunkSums, WeightedSum
from fedzda.platform.engines.calls import (
    COVERAGE,
    Call,
    Chunk,
    ChunkResult,
    Handler,
    HandlerSpec,
    Reply,
)

WATCHDOG_GRACE_SEC = 2.0
"""How much longer than its time limit a client may take before its process ends itself."""


_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3


class ClientTimeoutError(Exception):
    """A client took longer than ``engine.client_timeout``."""


class Worker:
    """Runs chunks of calls and strategy jobs, with one torch thread.

    Args:
        spec: How to build the handler.
        seed: Seed of the run; global random generators are seeded per client from it.
        client_timeout: Seconds a client may take, or None.
        expendable: This process may end itself over a client that hangs in native code.
    """

    def __init__(
        self,
        spec: HandlerSpec,
        seed: int,
        client_timeout: float | None = None,
        expendable: bool = False,
    ) -> None:
        torch.set_num_threads(1)
        keep_freed_memory()
        for folder in spec.plugin_folders:
            plugins.add_plugin_folder(Path(folder))
        self.handler: Handler = plugins.import_target(spec.target)(**spec.arguments)
        self.seed = seed
        self.client_timeout = client_timeout
        self.expendable = expendable

    def run(self, chunk: Chunk) -> ChunkResult:
        """Carry out a chunk; failures of clients are in the replies, not raised."""
        replies: list[Reply] = []
        sums = ChunkSums()
        for number, calls in enumerate(chunk.leaves()):
            total = new_total(chunk.reduce)
            for reply in self._replies(calls, chunk.retry):
                replies.append(reply)
                if total is not None:
                    add_reply(total, reply)
                if reply.error and chunk.fail_fast:
                    return ChunkResult(chunk.index, replies)
            if total is not None:
                sums.add(number, total)
        return ChunkResult(chunk.index, replies, sums.total())

    def _replies(self, calls: list[Call], retry: bool) -> Iterator[Reply]:
        shared = self._shared(calls) if calls else []
        if shared is not None:
            yield from shared
            return
        for call in calls:
            reply = self.one(call)
            if reply.error and retry:
                reply = self.one(call)
                reply.retried = True
            yield reply

    def _shared(self, calls: list[Call]) -> list[Reply] | None:
        """All replies at once; None where the handler cannot, or where something went wrong."""
        limit = self.client_timeout and self.client_timeout * len(calls)
        self._seed(calls[0])
        start = time.perf_counter()
        try:
            with time_limit(limit, self.expendable):
                replies = self.handler.handle_many(calls)
        except (Exception, SystemExit):  # the slow road finds out which client it was
            return None
        if replies is None or any(map(unusable, calls, replies)):
            return None
        share_sec = (time.perf_counter() - start) / len(calls)
        for reply in replies:
            reply.seconds = reply.seconds or share_sec
        return replies

    def one(self, call: Call) -> Reply:
        """Carry out one call; a failure is in the reply, not raised."""
        self._seed(call)
        start = time.perf_counter()
        try:
            with time_limit(self.client_timeout, self.expendable):
                reply = self.handler.handle(call)
            problem = unusable(call, reply)
        except (Exception, SystemExit):
            problem = traceback.format_exc()
        if problem:
            return Reply(call.client, error=problem, seconds=time.perf_counter() - start)
        reply.seconds = time.perf_counter() - start
        return reply

    def _seed(self, call: Call) -> None:
        """Global generators, for users' code that draws from them (dropout does)."""
        words = stream(self.seed, "global", call.round, call.client, len(call.phase))
        low, high = (int(word) for word in words.generate_state(2))
        seed_globals(low, low << 31 ^ high)

    def compute(self, job: Callable[[Any, Any], Any], item: Any) -> Any:
        """A job of the strategy (an inversion, a distillation) on this worker."""
        seed_globals(0, 0)
        return job(self.handler, item)


def keep_freed_memory() -> None:
    """Tell glibc to keep what is freed for the next batch instead of giving it back to the system.

    Every batch frees what the next one needs again; to get it back means a page fault every 4 KiB,
    which costs small models about a fifth of their time. Other C libraries are left alone.
    """
    with suppress(OSError, AttributeError):
        set_option = ctypes.CDLL(None).mallopt
        set_option(_M_MMAP_THRESHOLD, 2**25)  # the largest that glibc takes
        set_option(_M_TRIM_THRESHOLD, 2**28)


def seed_globals(small: int, large: int) -> None:
    """Seed the generators of Python, NumPy and torch; ``torch.manual_seed`` itself costs 0.1 ms."""
    random.seed(small)
    np.random.seed(small)  # noqa: NPY002
    torch.default_generator.manual_seed(large)
    if torch.cuda.is_initialized():  # type: ignore[no-untyped-call]
        torch.cuda.manual_seed_all(large)


def _finite(tensor: torch.Tensor) -> bool:
    """Whether all values are finite; the sum tells it at a tenth of the cost, but may overflow."""
    return math.isfinite(float(tensor.sum())) or bool(torch.isfinite(tensor).all())


def new_total(reduce: str) -> WeightedSum | None:
    """The empty sum that :attr:`Chunk.reduce` asks for, if it asks for one."""
    return WeightedSum(pooled=reduce == "pooled") if reduce else None


def sum_leaves(chunk: Chunk, replies: Iterable[Reply]) -> WeightedSum | None:
    """What :meth:`Worker.run` sums up, from replies that still hold their models."""
    sums = ChunkSums()
    waiting = iter(replies)
    for number, calls in enumerate(chunk.leaves()):
        total = new_total(chunk.reduce)
        if total is None:
            return None
        for reply in islice(waiting, len(calls)):
            add_reply(total, reply)
        sums.add(number, total)
    return sums.total()


def add_reply(total: WeightedSum, reply: Reply) -> None:
    """Move a reply's model into the chunk's sum, so that memory does not grow with the cohort."""
    if reply.error:
        return
    arrays = next(iter(reply.content.arrays.values()))
    weight = float(next(iter(reply.content.metrics.values()))["num-examples"])
    covered = reply.content.arrays.get(COVERAGE)
    coverage = covered and {name: torch.as_tensor(value) for name, value in covered.items()}
    total.add({name: torch.as_tensor(value) for name, value in arrays.items()}, weight, coverage)
    reply.content.arrays.clear()


def unusable(call: Call, reply: Reply) -> str | None:
    """Why a reply must not reach the strategy: a NaN or infinite value, or a changed shape."""
    sent = next(iter(call.content.arrays.values()), {})
    for record in reply.content.arrays.values():
        for name, value in record.items():
            tensor = torch.as_tensor(value)
            if tensor.is_floating_point() and not _finite(tensor):
                return (
                    f"client {call.client} sent a NaN or infinite value in '{name}'. If its "
                    "training diverged, lower local.optimizer.lr or set local.clip_norm."
                )
            if call.phase == "train" and name in sent and sent[name].shape != value.shape:
                want, found = tuple(sent[name].shape), tuple(value.shape)
                return f"client {call.client} sent '{name}' with shape {found}, not {want}"
    return None


@contextmanager
def time_limit(seconds: float | None, expendable: bool = False) -> Iterator[None]:
    """Raise :class:`ClientTimeoutError` after some seconds. Main thread on POSIX; else no limit.

    Python delivers the alarm between two of its own instructions, so native code that does not
    come back never sees it. An ``expendable`` process therefore ends itself a little later, from a
    thread that needs no interpreter lock; the stacks of all threads go to its standard error.
    """
    main = threading.current_thread() is threading.main_thread()
    if seconds is None or not main or not hasattr(signal, "setitimer"):
        yield
        return

    def expire(*_: object) -> None:
        raise ClientTimeoutError(f"the client took longer than client_timeout = {seconds} s")

    previous = signal.signal(signal.SIGALRM, expire)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    if expendable:
        faulthandler.dump_traceback_later(seconds + WATCHDOG_GRACE_SEC, exit=True, file=2)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
        if expendable:
            faulthandler.cancel_dump_traceback_later()


def resident_mb() -> float:
    """Resident memory of this process in MiB; where the system has no /proc, its highest so far."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20
    except OSError:
        import resource  # not on every system

        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**20


def worker_environment() -> dict[str, str]:
    """Environment of a worker process: one thread each, no usage reports, the driver's path."""
    return {
        "OMP_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "FLWR_TELEMETRY_ENABLED": "0",
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
        "RAY_worker_niceness": "0",  # Ray's 15 starves workers on a shared machine
        "FLWR_DISABLE_UPDATE_CHECK": "1",
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
    }
