"""PropFair, proportional fairness (Zhang, Malekmohammadi, Chen, Yu, TMLR 2023, arXiv 2202.01666).

Maximises the product of the clients' utilities ``M - F_k``: every client minimises
``-log(1 - l / M)`` of its batch loss ``l``, and the server averages as FedAvg does. The client's
half is :mod:`fedzda.clients.hooks.prop_fair`. Limit case: with a large ``base`` the loss is
``l / M``, so FedAvg is met up to rounding with a step size that is ``base`` times as large.
"""

from __future__ import annotations

import json

from flwr.app import ArrayRecord, RecordDict

from fedzda.strategies.base import CONFIG, MeanStrategy
from fedzda.strategies.config.fairness import PropFairConfig


class PropFair(MeanStrategy):
    """Clients with a high loss take steeper gradients.

    Leaves the client: its model and its sample count, as in FedAvg.
    """

    Config = PropFairConfig
    config: PropFairConfig

    def request(self, server_round: int, arrays: ArrayRecord, record: RecordDict) -> None:
        """Send the constants of the loss."""
        super().request(server_round, arrays, record)
        options = {name: getattr(self.config, name) for name in ("base", "epsilon", "fallback")}
        record.config_records[CONFIG]["prop-fair"] = json.dumps(options)
