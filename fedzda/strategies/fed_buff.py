"""FedBuff (Nguyen, Malik, Zhan, Yousefpour, Rabbat, Malek, Huba, AISTATS 2022, arXiv 2106.06639).

Clients do not wait for each other. ``concurrency`` of them train at any time; one that is done is
replaced at once by another, which gets the newest model. After ``clients_per_round`` updates (the
paper's buffer size K) the server makes a new model of them (Algorithm 1, server):

    w <- w + server_lr / K * sum over the buffer of s(tau_k) * (w_k - v_k)

where ``v_k`` is the model that client k started from, ``tau_k`` how many models were made since,
and ``s(tau) = 1 / sqrt(1 + tau)`` (appendix on staleness scaling). One flush is one round.

Our deviations: a client takes part at most once in a round, and BatchNorm statistics are the mean
of those in the buffer with the same weights. Limit case: on devices that all take equally long,
with ``concurrency`` equal to ``clients_per_round``, nobody is ever stale, and it is FedAvg with
``weighting: uniform`` and the same clients, bit for bit.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from flwr.app import ArrayRecord, ConfigRecord, Message, MessageType, MetricRecord, RecordDict
from flwr.serverapp import Grid

from fedzda.base import RunError, numpy_rng
from fedzda.platform.averaging import WeightedSum
from fedzda.platform.devices.clock import TIMED, VirtualClock
from fedzda.platform.devices.plans import trainers
from fedzda.platform.engines.grid import FIRST_NODE
from fedzda.platform.records import Content, arrays_of, to_content
from fedzda.platform.setting import Setting
from fedzda.strategies.base import ARRAYS, CONFIG
from fedzda.strategies.config.mean import FedBuffConfig
from fedzda.strategies.weighing import Cohort, Tensors, WeighingStrategy


class FedBuff(WeighingStrategy):
    """Buffered asynchronous aggregation: slow devices hold nobody up.

    Leaves the client: its model and its sample count.
    """

    Config = FedBuffConfig
    needs_losses = False
    asynchronous = True

    def __init__(self, config: FedBuffConfig) -> None:
        super().__init__(config)
        self.versions: dict[int, ArrayRecord] = {}
        self.staleness: dict[int, int] = {}

    def bind(self, setting: Setting) -> None:
        """See :meth:`MeanStrategy.bind`; there must be a clock."""
        super().bind(setting)
        assert setting.clock is not None, "config_checks refuses devices without a clock"
        self.clock: VirtualClock = setting.clock

    def state(self) -> dict[str, Any]:
        """The models of which clients at work have one."""
        return {**super().state(), "versions": self.versions}

    def load_state(self, state: dict[str, Any]) -> None:
        """Take them over."""
        super().load_state(state)
        self.versions = state["versions"]

    # -- training -------------------------------------------------------------------------

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """Let time run until the buffer is full; one message for each update in it.

        A message carries the model that its client started from.
        """
        self.received = arrays_of(arrays)
        self.versions[server_round] = arrays
        config["server-round"] = server_round
        config[TIMED] = True
        content = to_content(RecordDict({ARRAYS: arrays, CONFIG: config}))
        done = self.clock.advance(
            self._buffer_size(), refill=lambda: self._refill(server_round, content)
        )
        if not done and self.clock.lost:  # of whom nothing will come; the model stays
            self.staleness = {}
            lost = sorted({task.client for task in self.clock.lost})
            record = RecordDict({ARRAYS: arrays, CONFIG: config})
            return [Message(record, FIRST_NODE + client, MessageType.TRAIN) for client in lost]
        if not done:
            raise RunError(
                f"round {server_round} of fed-buff could ask no client. Make the devices available "
                "for longer, or raise data.clients."
            )
        self.staleness = {task.client: server_round - task.round for task in done}
        records = {
            version: RecordDict({ARRAYS: self.versions[version], CONFIG: config})
            for version in {task.round for task in done}
        }
        by_client = sorted(done, key=lambda task: task.client)
        return [
            Message(records[task.round], FIRST_NODE + task.client, MessageType.TRAIN)
            for task in by_client
        ]

    def _buffer_size(self) -> int:
        total = self.setting.num_clients
        return min(self.config.clients_per_round or total, total)

    def _refill(self, server_round: int, content: Content) -> None:
        """Ask clients until as many are at work as should be.

        A client that has been in this round already is not asked again.
        """
        clock = self.clock
        busy = {task.client for task in (*clock.tasks, *clock.lost)} | set(clock.finished)
        free = self.config.concurrency - len(clock.tasks)
        chosen = self._draw(server_round, free, busy)
        able = len(trainers(clock.fleet, self.setting.num_clients))
        if not chosen and not clock.tasks and len(busy) < able:
            clock.gather(len(busy) + 1)  # so at least one of them is not busy
            chosen = self._draw(server_round, free, busy)
        for client in chosen:
            clock.start(client, server_round, content)

    def _draw(self, server_round: int, free: int, busy: set[int]) -> list[int]:
        """At most ``free`` clients that are there and not busy, in order of a draw."""
        there = self.setting.reachable()
        rng = numpy_rng(self.setting.seed, "cohort", server_round, self.clock.started)
        places = rng.choice(len(there), min(free + len(busy), len(there)), replace=False)
        drawn = [int(there[place]) for place in places]
        return [client for client in drawn if client not in busy][:free]

    # -- aggregation ----------------------------------------------------------------------

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        """The next model; models that nobody works on any more are forgotten."""
        found = super().aggregate_train(server_round, replies)
        in_use = {task.round for task in self.clock.tasks}
        self.versions = {v: model for v, model in self.versions.items() if v in in_use}
        return found

    def _weight(self, reply: Message) -> float:
        """Its share by ``weighting``, scaled down by its staleness."""
        client = reply.metadata.src_node_id - FIRST_NODE
        scale = (1 + self.staleness[client]) ** -self.config.staleness_exponent
        return super()._weight(reply) * float(scale)

    def step(self, cohort: Cohort, replies: list[Message], metrics: MetricRecord) -> Tensors:
        """The newest model, moved by the mean of the weighted updates."""
        size = len(replies)
        staleness = np.array([self.staleness[client] for client in cohort.clients])
        metrics["fed-buff-staleness"] = float(staleness.mean())
        metrics["fed-buff-largest-staleness"] = int(staleness.max())
        plain = np.array([super(FedBuff, self)._weight(reply) for reply in replies])
        steps = self.config.server_lr * cohort.shares / plain.mean()
        total = WeightedSum()
        for reply, step in zip(replies, steps, strict=True):
            total.add(self._trained(reply), float(step))
        # updates of the newest model leave of it what they do not replace, others leave all of it
        newest = size - float(steps[staleness == 0].sum())
        if newest:
            total.add(self._received(), newest)
        for tau in sorted(set(staleness[staleness > 0].tolist())):
            total.add(self._model(cohort.round - tau), -float(steps[staleness == tau].sum()))
        return total.mean()

    def _model(self, version: int) -> Tensors:
        arrays = arrays_of(self.versions[version])
        names = (name for name in arrays if name not in self.setting.buffers)
        return {name: torch.from_numpy(arrays[name]) for name in names}
