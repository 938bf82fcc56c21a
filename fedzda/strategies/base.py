"""What fedzda's own strategies share: sampling, requests, the mean, evaluation, state."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from flwr.app import ArrayRecord, ConfigRecord, Message, MessageType, MetricRecord, RecordDict
from flwr.serverapp import Grid
from flwr.serverapp.strategy import Strategy
from flwr.serverapp.strategy.strategy_utils import aggregate_metricrecords

from fedzda.platform.averaging import WeightedSum
from fedzda.platform.config import StrategyConfig
from fedzda.platform.devices.work import EXTRA_WORK, ExtraWork
from fedzda.platform.engines.calls import COVERAGE
from fedzda.platform.engines.grid import FIRST_NODE, MEAN, REDUCE
from fedzda.platform.records import array_record, arrays_of
from fedzda.platform.setting import Setting
from fedzda.strategies.sampling import drawn, highest_losses

ARRAYS, CONFIG = "arrays", "config"


class MeanStrategy(Strategy):
    """Federated averaging with places for a method to step in.

    A method overrides :meth:`request` (what the cohort is sent) and :meth:`improve` (what happens
    to the average). Strategies that need every client's model set ``needs_models``; the others
    get the mean from the workers, so that memory does not grow with the cohort.
    """

    needs_models = False
    stages: ClassVar[tuple[str, ...]] = ("global",)
    """Which models are evaluated on the clients, the one the strategy is judged by first:
    ``global`` and ``personalised`` (what a client keeps of its own, in the model it receives)."""

    def __init__(self, config: StrategyConfig) -> None:
        self.config: Any = config

    def bind(self, setting: Setting) -> None:
        """Told once before the first round what the simulation looks like."""
        self.setting = setting

    def summary(self) -> None:
        """Nothing to log: the run folder holds the configuration."""

    def state(self) -> dict[str, Any]:
        """What must survive a restart besides the global model."""
        return {}

    def load_state(self, state: dict[str, Any]) -> None:
        """Take over a :meth:`state`."""

    def save_artifacts(self, folder: Path, server_round: int) -> None:
        """Write what the run should keep besides the model into ``artifacts/``."""

    # -- training -------------------------------------------------------------------------

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """One message per client of the cohort, all with the same content."""
        config["server-round"] = server_round
        if not self.needs_models and self.config.weighting == "size":
            config[REDUCE] = self.config.batchnorm
        record = RecordDict({ARRAYS: arrays, CONFIG: config})
        self.request(server_round, arrays, record)
        self._before = arrays
        cohort = self.cohort(server_round, arrays, grid)
        return [Message(record, node, MessageType.TRAIN) for node in cohort]

    def cohort(self, server_round: int, arrays: ArrayRecord, grid: Grid) -> list[int]:
        """Node ids of the round's clients in ascending order, drawn as ``sampling`` says."""
        size = self.setting.num_asked(self.config.clients_per_round)
        sampling = self.config.sampling
        if sampling == "power-of-choice":
            total = len(self.setting.reachable())
            wanted = min(self.config.candidates or 2 * size, total)
            candidates = drawn(self.setting, max(size, wanted), True, server_round)
            chosen = highest_losses(candidates, size, server_round, arrays, grid)
        else:
            chosen = drawn(self.setting, size, sampling == "size-weighted", server_round)
        return [FIRST_NODE + client for client in chosen]

    def request(self, server_round: int, arrays: ArrayRecord, record: RecordDict) -> None:
        """Add what the method sends along."""

    def tell_work(self, record: RecordDict, extra: ExtraWork) -> None:
        """Let the clock, where one runs, charge what clients do beside plain local training."""
        if self.setting.clock is not None:
            record.config_records[CONFIG][EXTRA_WORK] = extra.told()

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        """The weighted mean of the clients' models, handed to :meth:`improve`.

        Clients that had nothing to train on count nothing, and :meth:`improve` does not see them.
        None where that is everybody: the model then stays as it is.
        """
        valid = [reply for reply in replies if not reply.has_error()]
        trained = [reply for reply in valid if trained_on(reply)]
        if not trained:
            return None, None
        mean = self.mean(valid)
        metrics = aggregate_metricrecords([_metrics_only(m) for m in trained], "num-examples")
        return self.improve(server_round, mean, trained, metrics), metrics

    def mean(self, replies: list[Message]) -> ArrayRecord:
        """The mean the workers made, or else the mean of the replies' models in their order."""
        for reply in replies:
            if MEAN in reply.content:
                record: ArrayRecord = reply.content.pop(MEAN)  # type: ignore[assignment]
                return record
        total = WeightedSum(pooled=self.config.batchnorm == "pooled")
        for reply in replies:
            if not trained_on(reply):
                continue
            arrays = arrays_of(reply.content[ARRAYS])  # type: ignore[arg-type]
            total.add(_tensors(arrays), float(self._weight(reply)), _coverage(reply))
        return array_record(total.mean(arrays_of(self._before) if total.missing else None))

    def _weight(self, reply: Message) -> float:
        """What a client counts in sums over clients."""
        if self.config.weighting == "uniform":
            return 1.0
        return trained_on(reply)

    def improve(
        self, server_round: int, mean: ArrayRecord, replies: list[Message], metrics: MetricRecord
    ) -> ArrayRecord:
        """What the server does with the average; figures may be added to ``metrics``."""
        return mean

    # -- evaluation -----------------------------------------------------------------------

    def configure_evaluate(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """One message per client that is evaluated."""
        config["server-round"] = server_round
        record = RecordDict({ARRAYS: arrays, CONFIG: config})
        nodes = self.setting.evaluated_clients(server_round)
        return [Message(record, FIRST_NODE + node, MessageType.EVALUATE) for node in nodes]

    def aggregate_evaluate(
        self, server_round: int, replies: Iterable[Message]
    ) -> MetricRecord | None:
        """Means weighted by test samples; the fairness figures come from the client table."""
        valid = [_metrics_only(reply) for reply in replies if not reply.has_error()]
        if not any(float(r["metrics"]["num-examples"]) for r in valid):  # type: ignore[arg-type]
            return None
        return aggregate_metricrecords(valid, "num-examples")


def trained_on(reply: Message) -> float:
    """How many samples a client trained on; 0 where it had none in the current phase."""
    return float(reply.content["metrics"]["num-examples"])  # type: ignore[arg-type]


def _tensors(arrays: dict[str, np.ndarray]) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(value) for name, value in arrays.items()}


def _coverage(reply: Message) -> dict[str, torch.Tensor] | None:
    """Which entries of its model a client has trained, where that is not all."""
    found = reply.content.array_records.get(COVERAGE)
    return None if found is None else _tensors(arrays_of(found))


def _metrics_only(reply: Message) -> RecordDict:
    return RecordDict({"metrics": reply.content["metrics"]})
