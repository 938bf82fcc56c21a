"""Strategies whose next model is a combination of the clients' models, with weights of their own.

Most fairness methods end in ``w - sum_k c_k (w - w_k)`` with the received model ``w``, the clients'
models ``w_k`` and coefficients ``c_k`` that follow from losses, sizes and the updates' inner
products. A method says what the ``c_k`` are; everything else is here. Only trained weights take
part: BatchNorm statistics are averaged apart, as in every other strategy, because a counter in the
hundreds would dominate any norm, and a step of unit length can drive a variance below zero.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from flwr.app import ArrayRecord, Message, MetricRecord, RecordDict

from fedzda.platform.averaging import WeightedSum
from fedzda.platform.devices.work import ExtraWork
from fedzda.platform.engines.grid import FIRST_NODE
from fedzda.platform.records import array_record, arrays_of
from fedzda.strategies.base import ARRAYS, CONFIG, MeanStrategy

Tensors = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Weights:
    """How the next model is put together: weights in any unit, divided by their sum.

    Attributes:
        clients: ``(m,)`` weight of each client's model.
        received: Weight of the model that the clients received.
    """

    clients: np.ndarray
    received: float = 0.0


@dataclass(frozen=True)
class Cohort:
    """The m clients that answered in a round, as their server sees them.

    Attributes:
        round: Number of the round, from 1.
        clients: ``(m,)`` client numbers.
        shares: ``(m,)`` what each counts without the method: its training samples, or 1.
        losses: ``(m,)`` mean loss of the received model on each client's training samples, or NaN
            where the method does not ask for it.
        metrics: Each client's further figures.
        updates: The clients' updates ``w - w_k`` in float64, one mapping after the other.
    """

    round: int
    clients: list[int]
    shares: np.ndarray
    losses: np.ndarray
    metrics: list[dict[str, Any]]
    updates: Callable[[], Iterator[Tensors]]

    def gram(self) -> np.ndarray:
        """``(m, m)`` inner products of the updates."""
        return gram(list(self.updates()))


class WeighingStrategy(MeanStrategy):
    """Gives every client's model a weight of its own; see :meth:`weights`."""

    config: Any
    needs_models = True
    needs_losses = True
    """Whether clients report the loss of the received model before they train."""

    def request(self, server_round: int, arrays: ArrayRecord, record: RecordDict) -> None:
        """Ask for the loss of the received model, which is kept for the step."""
        super().request(server_round, arrays, record)
        self.received = arrays_of(arrays)
        if self.needs_losses:
            record.config_records[CONFIG]["initial-loss"] = True
            self.tell_work(record, ExtraWork(forward=1.0))

    def improve(
        self, server_round: int, mean: ArrayRecord, replies: list[Message], metrics: MetricRecord
    ) -> ArrayRecord:
        """The weighted combination of the trained weights, beside the mean of the statistics."""
        cohort = self._cohort(server_round, replies)
        trained = self.step(cohort, replies, metrics)
        return ArrayRecord({**mean, **array_record(trained)})

    def step(self, cohort: Cohort, replies: list[Message], metrics: MetricRecord) -> Tensors:
        """The next trained weights: the models weighted as :meth:`weights` says."""
        weights = self.weights(cohort, metrics)
        total = WeightedSum()
        for reply, weight in zip(replies, weights.clients, strict=True):
            total.add(self._trained(reply), float(weight))
        if weights.received:
            total.add(self._received(), weights.received)
        return total.mean()

    def weights(self, cohort: Cohort, metrics: MetricRecord) -> Weights:
        """The weights of a round; figures may be added to ``metrics``."""
        return Weights(cohort.shares)

    def _cohort(self, server_round: int, replies: list[Message]) -> Cohort:
        told: list[dict[str, Any]] = [dict(r.content["metrics"]) for r in replies]
        return Cohort(
            round=server_round,
            clients=[reply.metadata.src_node_id - FIRST_NODE for reply in replies],
            shares=np.array([self._weight(reply) for reply in replies]),
            losses=np.array([float(own.get("train_loss", np.nan)) for own in told]),
            metrics=told,
            updates=lambda: (self._update(reply) for reply in replies),
        )

    def _trained(self, reply: Message) -> Tensors:
        arrays = arrays_of(reply.content[ARRAYS])  # type: ignore[arg-type]
        names = (name for name in arrays if name not in self.setting.buffers)
        return {name: torch.from_numpy(arrays[name]) for name in names}

    def _received(self) -> Tensors:
        names = (name for name in self.received if name not in self.setting.buffers)
        return {name: torch.from_numpy(self.received[name]) for name in names}

    def _update(self, reply: Message) -> Tensors:
        own, before = self._trained(reply), self._received()
        return {name: before[name].double() - own[name].double() for name in own}


def inner(first: Tensors, second: Tensors) -> float:
    """The inner product of two updates."""
    with one_thread():
        return sum(float((first[name] * second[name]).sum()) for name in first)


def gram(updates: list[Tensors]) -> np.ndarray:
    """``(m, m)`` inner products of m updates; tensor by tensor, so that no copy of all is made."""
    total = torch.zeros(len(updates), len(updates), dtype=torch.float64)
    with one_thread():
        for name in updates[0]:
            rows = torch.stack([update[name].flatten() for update in updates])
            total += rows @ rows.T
    return total.numpy()


@contextmanager
def one_thread() -> Iterator[None]:
    """Sums in one order, whatever the number of cores of the process that runs the strategy."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
