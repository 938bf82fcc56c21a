"""MOON, model-contrastive federated learning (Li, He, Song, CVPR 2021, arXiv 2103.16257).

Clients add a contrastive term that pulls the representation of a sample towards the received
model's and away from that of the client's own last model, which is client state; the server
averages. The client's half is :mod:`fedzda.clients.hooks.moon`. Our deviations: the representation
is what enters the model's last linear layer, where the paper adds a projection head of two layers;
the frozen models are in eval mode and see the images without random crops and mirroring. Limit
case: ``mu: 0`` is FedAvg, bit for bit.
"""

from __future__ import annotations

import json

from flwr.app import ArrayRecord, RecordDict
from torch import nn

from fedzda.base import UserError
from fedzda.platform.devices.work import ExtraWork
from fedzda.strategies.base import CONFIG, MeanStrategy
from fedzda.strategies.config.drift import MoonConfig


class Moon(MeanStrategy):
    """Representations stay close to the received model's.

    Leaves the client: its model and its sample count, as in FedAvg.
    """

    Config = MoonConfig

    def check(self, model: nn.Module) -> None:
        """Refuse a model without a linear layer, before anything runs."""
        if not any(isinstance(module, nn.Linear) for module in model.modules()):
            raise UserError(
                "strategy 'moon' compares what enters the model's last linear layer, and the model "
                f"has none ({type(model).__name__}). Choose a model that ends in a linear layer."
            )

    def request(self, server_round: int, arrays: ArrayRecord, record: RecordDict) -> None:
        """Send the constants of the term."""
        super().request(server_round, arrays, record)
        options = {name: getattr(self.config, name) for name in ("mu", "temperature")}
        record.config_records[CONFIG]["moon"] = json.dumps(options)
        self.tell_work(record, ExtraWork(forward=2.0 if self.config.mu > 0 else 0.0))
