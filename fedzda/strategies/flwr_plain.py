"""Flower's own strategies, run unchanged inside our round loop.

What is added: the exact cohort size (Flower's fraction rounds down), BatchNorm statistics averaged
apart from the trained weights, and the client halves that FedProx and q-FedAvg ask for.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import flwr.serverapp.strategy
from flwr.app import ArrayRecord, ConfigRecord, Message, MetricRecord
from flwr.serverapp import Grid
from flwr.serverapp.strategy import Strategy

from fedzda.platform import state_codec
from fedzda.platform.averaging import WeightedSum
from fedzda.platform.local_steps import lr_factor
from fedzda.platform.records import array_record
from fedzda.platform.setting import Setting
from fedzda.strategies.apart import put_back, select, take_out
from fedzda.strategies.base import MeanStrategy, trained_on
from fedzda.strategies.config.flwr import FlwrConfig

_NO_FRACTION = 1e-12
"""A fraction of no clients that Flower does not take for 0, which switches training off."""


class FlowerStrategy(MeanStrategy):
    """A strategy of Flower's, chosen by the configuration's class.

    Leaves the client: its model, its sample count, and what ``client_keys`` asks for (q-FedAvg:
    its training loss).
    """

    needs_models = True
    config: FlwrConfig

    def bind(self, setting: Setting) -> None:
        """Make Flower's object now that the population is known."""
        super().bind(setting)
        cohort = min(self.config.clients_per_round or setting.num_clients, setting.num_clients)
        make = getattr(flwr.serverapp.strategy, self.config.flower_class)
        self.inner: Strategy = make(
            fraction_train=_NO_FRACTION,
            min_train_nodes=cohort,
            min_available_nodes=cohort,
            **self.config.arguments(setting.config.local.optimizer.lr),
        )
        apart = self.config.batchnorm != "strategy"
        self.apart = setting.buffers if apart else frozenset()

    def state(self) -> dict[str, Any]:
        """Whatever Flower's strategy keeps (momentum, moments, …)."""
        return state_codec.state_of(self.inner)

    def load_state(self, state: dict[str, Any]) -> None:
        """Take it over."""
        state_codec.restore(self.inner, state)

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """Flower's messages, with the arrays it was not shown put back in."""
        config.update(self.config.client_keys)
        inner: Any = self.inner
        # Flower sleeps until as many nodes are there, so it must not want more
        inner.min_train_nodes = self.setting.num_asked(self.config.clients_per_round)
        inner.min_available_nodes = inner.min_train_nodes
        for key, value in self._by_step_size(server_round).items():
            setattr(inner, key, value)
        trained = select(arrays, self.apart, inside=False)
        rest = select(arrays, self.apart, inside=True)
        return put_back(self.inner.configure_train(server_round, trained, config, grid), rest)

    def _by_step_size(self, server_round: int) -> dict[str, Any]:
        """Arguments that follow the clients' step size, which may decay from round to round."""
        config = self.setting.config
        rate = config.local.optimizer.lr * lr_factor(config.local, server_round, config.rounds)
        found = self.config.arguments(rate)
        return {key: found[key] for key in self.config.by_step_size}

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        """Flower's aggregate of the trained arrays beside our mean of the others.

        Flower does not see clients that had nothing to train on.
        """
        valid = [reply for reply in replies if not reply.has_error() and trained_on(reply)]
        if not valid:
            return None, None
        total = WeightedSum(pooled=self.config.batchnorm == "pooled")
        for reply in valid:
            take_out(reply, self.apart, total, trained_on(reply))
        new, metrics = self.inner.aggregate_train(server_round, valid)
        if new is not None and self.apart:
            new = ArrayRecord({**new, **array_record(total.mean())})
        return new, metrics
