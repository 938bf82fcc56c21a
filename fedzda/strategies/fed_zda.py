"""Fed-ZDA: zero-shot data augmentation at both ends (Hao et al., CVPR Workshops 2021).

Fed-ZDAC and Fed-ZDAS in the same round, as the patent's abstract allows. Limit cases: a late
``start_round`` leaves Fed-ZDAS, a late ``server_start_round`` leaves Fed-ZDAC.
"""

from __future__ import annotations

from flwr.app import ArrayRecord, Message, MetricRecord

from fedzda.strategies.config.zda import FedZDAConfig
from fedzda.strategies.zdac import ClientSide
from fedzda.strategies.zdas import ServerSide


class FedZDA(ServerSide, ClientSide):
    """Clients fill up their classes, and the server trains the average on images of its own.

    Leaves the client: its model in the clear and its sample count.
    """

    Config = FedZDAConfig

    def improve(
        self, server_round: int, mean: ArrayRecord, replies: list[Message], metrics: MetricRecord
    ) -> ArrayRecord:
        """The server's half, and the figures of the clients' half."""
        mean = super().improve(server_round, mean, replies, metrics)
        metrics.update(self.figures)
        return mean
