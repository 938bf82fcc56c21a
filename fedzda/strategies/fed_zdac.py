"""Fed-ZDAC: zero-shot data augmentation at the clients.

Hao, El-Khamy, Lee, Zhang, Liang, Chen, Carin, "Towards Fair Federated Learning with Zero-Shot Data
Augmentation", CVPR Workshops 2021, arXiv 2104.13417. Every client inverts the received global model
for the classes in which it is short, trains on its own and the synthetic samples, and uploads; the
server averages. Our choices, since no settings are published: the synthesizer and all its weights,
start round, gate, amount, hard labels, weights by real samples only. The generator is fitted once
per round for all clients, since they hold the same frozen model. Limit case: ``start_round`` beyond
the last round is FedAvg, bit for bit.
"""

from __future__ import annotations

from flwr.app import ArrayRecord, Message, MetricRecord

from fedzda.strategies.config.zda import FedZDACConfig
from fedzda.strategies.zdac import ClientSide


class FedZDAC(ClientSide):
    """Clients fill up the classes they lack with images made from the received model.

    Leaves the client: its model and its sample count, as in FedAvg. Nothing else.
    """

    Config = FedZDACConfig

    def improve(
        self, server_round: int, mean: ArrayRecord, replies: list[Message], metrics: MetricRecord
    ) -> ArrayRecord:
        """The average stays as it is; the round's figures of the synthesis are noted."""
        metrics.update(self.figures)
        return mean
