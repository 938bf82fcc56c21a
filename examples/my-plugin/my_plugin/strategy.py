"""Federated averaging with a server step (FedOpt with plain SGD, Reddi et al. 2021)."""

from typing import Literal

from fedzda.platform.records import array_record, arrays_of
from fedzda.strategies.base import MeanStrategy
from fedzda.strategies.config import MeanConfig
from flwr.app import ArrayRecord, Message, MetricRecord, RecordDict
from pydantic import Field


class SlowServerConfig(MeanConfig):
    """The model moves part of the way to the clients' mean."""

    variants = True  # the mean of parts of the model will do
    name: Literal["my-plugin-slow"] = "my-plugin-slow"
    rate: float = Field(default=0.5, gt=0)
    """How much of the way; 1 is federated averaging."""


class SlowServer(MeanStrategy):
    """Leaves the client: its model and its sample count."""

    Config = SlowServerConfig

    def request(self, server_round: int, arrays: ArrayRecord, record: RecordDict) -> None:
        """Called before each round: remember the model that is sent."""
        self.old = arrays_of(arrays)

    def improve(
        self, server_round: int, mean: ArrayRecord, replies: list[Message], metrics: MetricRecord
    ) -> ArrayRecord:
        """Called with the clients' mean: what it returns is the next global model."""
        rate = self.config.rate
        new = arrays_of(mean)
        return array_record({n: old + rate * (new[n] - old) for n, old in self.old.items()})
