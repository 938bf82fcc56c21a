"""FedBN (Li, Jiang, Zhang, Kamp, Dou, ICLR 2021, arXiv 2102.07623).

BatchNorm layers (weights, biases and statistics) stay on the client as its state; all other arrays
are averaged. Evaluated is the global model with each client's own BatchNorm, as stage
``personalised``; there is no model without a client. A client that was never drawn has the initial
BatchNorm layers. Limit case: a model without BatchNorm is FedAvg, bit for bit.
"""

from __future__ import annotations

from flwr.app import ArrayRecord, Message, MetricRecord, RecordDict

from fedzda.platform.devices.workload import WITHHELD
from fedzda.strategies.base import CONFIG, MeanStrategy
from fedzda.strategies.config.personal import FedBNConfig


class FedBN(MeanStrategy):
    """BatchNorm layers are each client's own.

    Leaves the client: its model without BatchNorm layers, and its sample count.
    """

    Config = FedBNConfig
    needs_models = True
    stages = ("personalised",)

    def request(self, server_round: int, arrays: ArrayRecord, record: RecordDict) -> None:
        """Switch the client's half on."""
        super().request(server_round, arrays, record)
        self.received = arrays
        config = record.config_records[CONFIG]
        config["keep-batchnorm"] = True
        layers = {name.rpartition(".")[0] for name in arrays if name.endswith("running_mean")}
        if layers:
            config[WITHHELD] = [name for name in arrays if name.rpartition(".")[0] in layers]

    def improve(
        self, server_round: int, mean: ArrayRecord, replies: list[Message], metrics: MetricRecord
    ) -> ArrayRecord:
        """The average, and BatchNorm layers as they were."""
        return ArrayRecord({**self.received, **mean})
