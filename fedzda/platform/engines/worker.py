"""The work itself: a handler, fed chunk by chunk, in one process and in Ray actors alike."""

from __future__ import annotations

import os
import random
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fedzda.base import stream
from fedzda.platform import plugins
from fedzda.platform.averaging import WeightedSum
from fedzda.platform.engines.calls import Call, Chunk, ChunkResult, Handler, HandlerSpec, Reply


class ClientTimeoutError(Exception):
    """A client took longer than ``engine.client_timeout``."""


class Worker:
    """Runs chunks of calls and strategy jobs, with one torch thread.

    Args:
        spec: How to build the handler.
        seed: Seed of the run; global random generators are seeded per client from it.
        client_timeout: Seconds a client may take, or None.
    """

    def __init__(self, spec: HandlerSpec, seed: int, client_timeout: float | None = None) -> None:
        torch.set_num_threads(1)
        for folder in spec.plugin_folders:
            plugins.add_plugin_folder(Path(folder))
        self.handler: Handler = plugins.import_target(spec.target)(**spec.arguments)
        self.seed = seed
        self.client_timeout = client_timeout

    def run(self, chunk: Chunk) -> ChunkResult:
        """Carry out a chunk; failures of clients are in the replies, not raised."""
        replies = self._shared(chunk.calls)
        total = WeightedSum(pooled=chunk.reduce == "pooled") if chunk.reduce else None
        if replies is None:
            replies = []
            for call in chunk.calls:
                reply = self.one(call)
                if reply.error and chunk.retry:
                    reply = self.one(call)
                    reply.retried = True
                if total is not None and not reply.error:
                    _fold(total, reply)
                replies.append(reply)
        return ChunkResult(chunk.index, replies, total)

    def _shared(self, calls: list[Call]) -> list[Reply] | None:
        first = calls[0]
        self._seed(first)
        try:
            return self.handler.handle_many(calls)
        except Exception:  # the slow road finds out which client it was
            return None

    def one(self, call: Call) -> Reply:
        """Carry out one call; a failure is in the reply, not raised."""
        self._seed(call)
        start = time.perf_counter()
        try:
            with time_limit(self.client_timeout):
                reply = self.handler.handle(call)
            problem = unusable(call, reply)
        except Exception:
            problem = traceback.format_exc()
        if problem:
            return Reply(call.client, error=problem, seconds=time.perf_counter() - start)
        reply.seconds = time.perf_counter() - start
        return reply

    def _seed(self, call: Call) -> None:
        """Global generators, for users' code that draws from them (dropout does)."""
        words = stream(self.seed, "global", call.round, call.client, len(call.phase))
        low, high = (int(word) for word in words.generate_state(2))
        random.seed(low)
        np.random.seed(low)  # noqa: NPY002
        torch.manual_seed(low << 31 ^ high)

    def compute(self, job: Callable[[Any, Any], Any], item: Any) -> Any:
        """A job of the strategy (an inversion, a distillation) on this worker."""
        random.seed(0)
        np.random.seed(0)  # noqa: NPY002
        torch.manual_seed(0)
        return job(self.handler, item)


def _fold(total: WeightedSum, reply: Reply) -> None:
    """Move the reply's model into the chunk's sum, so that memory does not grow with the cohort."""
    arrays = next(iter(reply.content.arrays.values()))
    weight = float(next(iter(reply.content.metrics.values()))["num-examples"])
    total.add({name: torch.as_tensor(value) for name, value in arrays.items()}, weight)
    reply.content.arrays.clear()


def unusable(call: Call, reply: Reply) -> str | None:
    """Why a reply must not reach the strategy: a NaN or infinite value, or a changed shape."""
    sent = next(iter(call.content.arrays.values()), {})
    for record in reply.content.arrays.values():
        for name, value in record.items():
            tensor = torch.as_tensor(value)
            if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
                return f"client {call.client} sent a NaN or infinite value in '{name}'"
            if call.phase == "train" and name in sent and sent[name].shape != value.shape:
                want, found = tuple(sent[name].shape), tuple(value.shape)
                return f"client {call.client} sent '{name}' with shape {found}, not {want}"
    return None


@contextmanager
def time_limit(seconds: float | None) -> Iterator[None]:
    """Raise :class:`ClientTimeoutError` after some seconds. Main thread on POSIX; else no limit."""
    main = threading.current_thread() is threading.main_thread()
    if seconds is None or not main or not hasattr(signal, "setitimer"):
        yield
        return

    def expire(*_: object) -> None:
        raise ClientTimeoutError(f"the client took longer than client_timeout = {seconds} s")

    previous = signal.signal(signal.SIGALRM, expire)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)


def worker_environment() -> dict[str, str]:
    """Environment of a worker process: one thread each, no usage reports, the driver's path."""
    return {
        "OMP_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "FLWR_TELEMETRY_ENABLED": "0",
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
        "FLWR_DISABLE_UPDATE_CHECK": "1",
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
    }
