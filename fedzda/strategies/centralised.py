"""Centralised training: what one machine with all the data would reach.

A control arm: in every round the model is trained on the pooled training samples of all clients
(``pool: all``), or of the clients that FedAvg would have drawn (``pool: cohort``, the same number
of samples as FedAvg sees). The optimiser starts anew in every round, as it does on clients. One
message goes to one client, whose row of the client table stands for the pool; bytes are those of
that message. Limit case: a cohort of one client, pooled, is FedAvg, bit for bit.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

from flwr.app import ArrayRecord, ConfigRecord, Message
from flwr.serverapp import Grid

from fedzda.platform.engines.grid import FIRST_NODE
from fedzda.strategies.base import CONFIG, MeanStrategy
from fedzda.strategies.config.controls import CentralisedConfig


class Centralised(MeanStrategy):
    """Trains on the pooled data.

    Leaves the client: its data.
    """

    Config = CentralisedConfig

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """One message, to the first client of the cohort."""
        first, *others = super().configure_train(server_round, arrays, config, grid)
        clients = [m.metadata.dst_node_id - FIRST_NODE for m in (first, *others)]
        pool = clients if self.config.pool == "cohort" else None
        first.content.config_records[CONFIG]["pooled-data"] = json.dumps(pool)
        return [first]
