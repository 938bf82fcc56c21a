"""SCAFFOLD (Karimireddy, Kale, Mohri, Reddi, Stich, Suresh, ICML 2020, arXiv 1910.06378).

Clients correct every gradient by ``c - c_k``: the control variate ``c`` of the server and their own
``c_k``, which is client state. With N clients of whom S take part:

    w <- w + server_lr * mean over S of (w_k - w)
    c <- c + (1/N) * sum over S of (new c_k - old c_k)

The client's half, with option II for the new ``c_k``, is :mod:`fedzda.clients.hooks.scaffold`. Our
deviations: the mean is weighted as ``weighting`` says (the paper: uniform), and momentum is
allowed, with its weight in the control variate; the paper has plain SGD. Limit case: the first
round is FedAvg's, bit for bit, as all control variates start at zero.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from flwr.app import ArrayRecord, Message, MetricRecord, RecordDict

from fedzda.platform.devices.workload import EXTRA_BYTES
from fedzda.platform.records import array_record, arrays_of
from fedzda.strategies.base import CONFIG
from fedzda.strategies.config.drift import ScaffoldConfig
from fedzda.strategies.weighing import Cohort, Tensors, WeighingStrategy, Weights

CONTROL = "control"
"""Record that holds the control variate in requests, and its change in replies."""


class Scaffold(WeighingStrategy):
    """Control variates take the clients' drift out of their gradients.

    Leaves the client: its model and the change of its control variate in the clear, its sample
    count.
    """

    Config = ScaffoldConfig
    needs_losses = False

    def __init__(self, config: ScaffoldConfig) -> None:
        super().__init__(config)
        self.control: dict[str, np.ndarray] = {}

    def state(self) -> dict[str, Any]:
        """The server's control variate."""
        return {**super().state(), "control": self.control}

    def load_state(self, state: dict[str, Any]) -> None:
        """Take it over."""
        super().load_state(state)
        self.control = state["control"]

    def request(self, server_round: int, arrays: ArrayRecord, record: RecordDict) -> None:
        """Send the control variate, zero at first."""
        super().request(server_round, arrays, record)
        if not self.control:
            weights = self._received()
            self.control = {name: np.zeros_like(value.numpy()) for name, value in weights.items()}
        record[CONTROL] = array_record(self.control)
        record.config_records[CONFIG]["scaffold"] = True
        size = sum(value.nbytes for value in self.control.values())
        record.config_records[CONFIG][EXTRA_BYTES] = int(size)

    def weights(self, cohort: Cohort, metrics: MetricRecord) -> Weights:
        """The mean model, or a step of ``server_lr`` towards it."""
        rate = self.config.server_lr
        return Weights(rate * cohort.shares, received=(1.0 - rate) * float(cohort.shares.sum()))

    def step(self, cohort: Cohort, replies: list[Message], metrics: MetricRecord) -> Tensors:
        """The mean of the models; the control variate moves by the sum of the clients' changes."""
        total = {name: value.astype(np.float64) for name, value in self.control.items()}
        for reply in replies:
            changes = arrays_of(reply.content[CONTROL])  # type: ignore[arg-type]
            for name, change in changes.items():
                total[name] += change.astype(np.float64) / self.setting.num_clients
        self.control = {n: v.astype(self.control[n].dtype) for n, v in total.items()}
        squares = [torch.from_numpy(value).square().sum() for value in total.values()]
        metrics["scaffold-control"] = float(torch.stack(squares).sum().sqrt())
        return super().step(cohort, replies, metrics)
