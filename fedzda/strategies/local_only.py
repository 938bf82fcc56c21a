"""Local-only training: every client trains alone, from the same initial weights.

A control arm: the baseline of "worse off than alone". Models are kept as client state, never sent,
never averaged; they are evaluated as stage ``personalised``, which takes the place of the global
model's figures everywhere. A client that was never drawn has the initial model.
"""

from __future__ import annotations

from collections.abc import Iterable

from flwr.app import ArrayRecord, ConfigRecord, Message, MessageType, MetricRecord, RecordDict
from flwr.serverapp import Grid
from flwr.serverapp.strategy.strategy_utils import aggregate_metricrecords

from fedzda.platform.engines.grid import FIRST_NODE
from fedzda.strategies.base import CONFIG, MeanStrategy, trained_on
from fedzda.strategies.config.controls import LocalOnlyConfig


class LocalOnly(MeanStrategy):
    """No model is ever sent.

    Leaves the client: nothing.
    """

    Config = LocalOnlyConfig
    stages = ("personalised",)

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """Requests without a model."""
        config["server-round"] = server_round
        config["keep-model"] = True
        record = RecordDict({CONFIG: config})
        cohort = self.cohort(server_round, arrays, grid)
        return [Message(record, node, MessageType.TRAIN) for node in cohort]

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        """Mean figures; there is no model to change."""
        valid = [reply for reply in replies if not reply.has_error()]
        trained = [reply.content for reply in valid if trained_on(reply)]
        if not trained:
            return None, None
        return None, aggregate_metricrecords(trained, "num-examples")

    def configure_evaluate(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """Requests without a model."""
        config["server-round"] = server_round
        record = RecordDict({CONFIG: config})
        nodes = self.setting.evaluated_clients(server_round)
        return [Message(record, FIRST_NODE + node, MessageType.EVALUATE) for node in nodes]
