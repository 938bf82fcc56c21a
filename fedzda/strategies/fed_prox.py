"""FedProx (Li, Sahu, Zaheer, Sanjabi, Talwalkar, Smith, MLSys 2020, arXiv 1812.06127).

Clients minimise ``F_k(v) + (mu / 2) ||v - w||^2`` around the received model ``w``; the server
averages. The client's half is :mod:`fedzda.clients.hooks.proximal`. Our deviation: every client
does the same local work; the paper also allows partial work. Limit case: ``mu: 0`` is FedAvg, bit
for bit.
"""

from __future__ import annotations

from flwr.app import ArrayRecord, RecordDict

from fedzda.strategies.base import CONFIG, MeanStrategy
from fedzda.strategies.config.drift import FedProxConfig


class FedProx(MeanStrategy):
    """Clients stay close to the received model.

    Leaves the client: its model and its sample count, as in FedAvg.
    """

    Config = FedProxConfig

    def request(self, server_round: int, arrays: ArrayRecord, record: RecordDict) -> None:
        """Send the weight of the proximal term."""
        super().request(server_round, arrays, record)
        record.config_records[CONFIG]["proximal-mu"] = self.config.mu
