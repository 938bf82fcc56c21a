"""The round loop: the four methods of a Flower strategy, with records, checkpoints and resume."""

from __future__ import annotations

import gc
import random
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import numpy as np
import torch
from flwr.app import ArrayRecord, ConfigRecord, Message
from flwr.serverapp.strategy import Strategy

from fedzda.base import RunError, stream
from fedzda.platform import checkpoint as checkpoints
from fedzda.platform.config import SimulationConfig
from fedzda.platform.devices.clock import FATES
from fedzda.platform.engines.grid import EngineGrid
from fedzda.platform.fairness import describe, direction
from fedzda.platform.files import json_line
from fedzda.platform.recorder import Recorder
from fedzda.platform.records import arrays_of, restore_dtypes
from fedzda.platform.runs import RunFolder
from fedzda.platform.state_codec import state_of
from fedzda.platform.stopping import Stopping

_PARTS = ("schedule", "transfer", "train", "aggregate", "evaluate")


@dataclass
class Totals:
    """Sums over all rounds so far; part of the checkpoint."""

    seconds: dict[str, float] = field(default_factory=lambda: dict.fromkeys(_PARTS, 0.0))
    down: int = 0
    up: int = 0
    retried: int = 0
    lost: int = 0


class Stopwatch:
    """Seconds per part of a round."""

    def __init__(self) -> None:
        self.seconds = dict.fromkeys(_PARTS, 0.0)

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Add the time of a block to a part."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] += time.perf_counter() - start


class RoundLoop:
    """Plays rounds of one run.

    Args:
        config: The run's configuration.
        strategy: Any Flower strategy, already bound.
        grid: The grid that carries its messages.
        recorder: Observes the grid.
        folder: The run folder.
        stopping: The rules that may end the run early.
        callbacks: Objects with optional ``start``, ``round`` and ``finish`` methods.
        higher_is_better: By metric; decides which end of the clients is the worst.
        means_only: Metrics of which reports show the mean alone.

    Attributes:
        done: The last round played.
        stages: Which models are evaluated on the clients, see :func:`stages_of`.
    """

    def __init__(
        self,
        config: SimulationConfig,
        strategy: Strategy,
        grid: EngineGrid,
        recorder: Recorder,
        folder: RunFolder,
        stopping: Stopping,
        callbacks: Sequence[Any] = (),
        higher_is_better: dict[str, bool] | None = None,
        means_only: Sequence[str] = (),
    ) -> None:
        self.config = config
        self.strategy = strategy
        self.stages = stages_of(strategy)
        self.grid = grid
        self.recorder = recorder
        self.folder = folder
        self.stopping = stopping
        self.callbacks = callbacks
        self.higher_is_better = higher_is_better or {}
        self.means_only = means_only
        self.totals = Totals()
        self.done = 0

    def play(self, arrays: ArrayRecord, first: int) -> ArrayRecord:
        """Rounds ``first .. config.rounds``, or until a rule of ``stop:``; returns the model.

        Round 0 is that of a run without any: it tests the model and trains nothing.
        """
        like = arrays_of(arrays)
        # Flower collects garbage for every array it decodes; what exists by now is there to stay
        gc.freeze()
        started = time.perf_counter()
        self.done = first - 1
        while self.done < self.config.rounds and not self.stopping.stopped:
            round_ = self.done + 1
            arrays, row = self._round(round_, arrays, like)
            self._book(row)
            self.done = round_
            last = round_ == self.config.rounds or self.stopping.stopped
            if round_ % self.config.checkpoint.every == 0 or last:
                self._checkpoint(round_, arrays)
            spent = (time.perf_counter() - started) / (round_ - first + 1)
            row["eta_sec"] = 0.0 if last else spent * (self.config.rounds - round_)
            self.folder.status("running", round_, self.config.rounds, row["eta_sec"])
            for callback in self.callbacks:
                if hasattr(callback, "round"):
                    callback.round(row, self.config.rounds)
        gc.unfreeze()
        return arrays

    def _round(
        self, round_: int, arrays: ArrayRecord, like: dict[str, np.ndarray]
    ) -> tuple[ArrayRecord, dict[str, Any]]:
        watch = Stopwatch()
        start = time.perf_counter()
        clock = self.grid.clock
        virtual_start = clock.now if clock else 0.0
        self.grid.round = round_
        server: dict[str, float] = {}
        with seeded_globals(self.config.seed, round_):
            if round_ > 0:
                arrays, server = self._train(round_, arrays, like, watch)
            late = self.stopping.out_of_time(time.perf_counter() - start)
            if evaluated := self._evaluates(round_, late):
                with watch.part("evaluate"):
                    self._evaluate(round_, arrays)
        watch.seconds["transfer"] = self.grid.engine.take_transfer_sec()
        row = {
            "round": round_,
            "seconds": {**watch.seconds, "total": time.perf_counter() - start},
            "bytes": dict(self.recorder.bytes),
            "clients": {
                "sampled": self.recorder.sampled,
                "done": self.recorder.done,
                "failed": self.recorder.failed,
                **({fate: self.recorder.lost[fate] for fate in FATES} if clock else {}),
            },
            "metrics": self._figures(self.stages[0]),
            **{stage: self._figures(stage) for stage in self.stages[1:]},
            "server": server,
        }
        if clock:
            row["virtual_sec"] = clock.now - virtual_start
            row["virtual_total_sec"] = clock.now
        self.stopping.after(row, may_end=evaluated or self.config.evaluate.every == 0)
        self.recorder.flush(round_)
        return arrays, row

    def ask(self, round_: int, arrays: ArrayRecord) -> list[Message]:
        """What the strategy asks the cohort of a round to do."""
        if self.grid.clock and not getattr(self.strategy, "asynchronous", False):
            self.grid.clock.gather(self.config.strategy.clients_per_round or 1)
        return list(self.strategy.configure_train(round_, arrays, ConfigRecord(), self.grid))

    def _train(
        self, round_: int, arrays: ArrayRecord, like: dict[str, np.ndarray], watch: Stopwatch
    ) -> tuple[ArrayRecord, dict[str, float]]:
        with watch.part("schedule"):
            asked = self.ask(round_, arrays)
        if not asked:
            raise RunError(f"the strategy asked no client to train in round {round_}.")
        with watch.part("train"):
            replies = self.grid.send_and_receive(asked)
        with watch.part("aggregate"):
            new, metrics = self.strategy.aggregate_train(round_, replies)
            arrays = arrays if new is None else restore_dtypes(new, like)
        scalars = {k: float(v) for k, v in (metrics or {}).items() if isinstance(v, int | float)}
        return arrays, scalars

    def _evaluates(self, round_: int, last: bool) -> bool:
        every = self.config.evaluate.every
        return every > 0 and (round_ % every == 0 or round_ == self.config.rounds or last)

    def _evaluate(self, round_: int, arrays: ArrayRecord) -> None:
        splits = ["test", "train"] if self.config.evaluate.train_split else ["test"]
        for split, stage in product(splits, self.stages):
            config = ConfigRecord({"split": split, "stage": stage})
            asked = self.strategy.configure_evaluate(round_, arrays, config, self.grid)
            replies = self.grid.send_and_receive(asked)
            if replies:
                self.strategy.aggregate_evaluate(round_, replies)

    def _figures(self, wanted: str) -> dict[str, Any]:
        """Fairness figures of the test split and a stage, per metric."""
        figures = {}
        for (stage, split, metric), (values, weights) in self.recorder.evaluated.items():
            if split == "test" and stage == wanted:
                better = self.higher_is_better.get(metric, direction.higher_is_better(metric))
                figures[metric] = describe(values, weights, higher_is_better=better)
        return figures

    def _book(self, row: dict[str, Any]) -> None:
        """Add a round to the totals and to rounds.jsonl."""
        for part in _PARTS:
            self.totals.seconds[part] += row["seconds"][part]
        self.totals.down += row["bytes"]["down"]
        self.totals.up += row["bytes"]["up"]
        retried, lost = self.grid.failures.take()
        self.totals.retried += retried
        self.totals.lost += lost
        with self.folder.rounds.open("a", encoding="utf-8") as file:
            file.write(json_line(row))

    def _checkpoint(self, round_: int, arrays: ArrayRecord) -> None:
        checkpoints.save(
            self.folder.checkpoints,
            checkpoints.Checkpoint(
                round=round_,
                arrays=arrays_of(arrays),
                strategy=state_of(self.strategy),
                clients=self.grid.states,
                totals=vars(self.totals),
                stop=vars(self.stopping.state),
                clock=self.grid.clock.state() if self.grid.clock else {},
            ),
            self.config.checkpoint.keep,
        )


def stages_of(strategy: Strategy) -> tuple[str, ...]:
    """The models that a strategy evaluates on the clients, the one it is judged by first.

    ``global`` is the server's model, ``personalised`` each client's own.
    """
    return tuple(getattr(strategy, "stages", ("global",)))


@contextmanager
def seeded_globals(seed: int, round_: int) -> Iterator[None]:
    """Seed what the server may draw from for a block; then restore.

    Flower draws from ``random`` and ``numpy.random``, strategies of others from torch as well.
    """
    before = random.getstate(), np.random.get_state(), torch.get_rng_state()  # noqa: NPY002
    low = int(stream(seed, "server", round_).generate_state(1)[0])
    random.seed(low)
    np.random.seed(low)  # noqa: NPY002
    torch.default_generator.manual_seed(low)
    try:
        yield
    finally:
        random.setstate(before[0])
        np.random.set_state(before[1])  # noqa: NPY002
        torch.set_rng_state(before[2])
