"""Fed-ZDAS: zero-shot data augmentation at the server.

Hao et al., CVPR Workshops 2021, arXiv 2104.13417; patent US 12236370 B2, claim 5: the server
inverts each uploaded client model, averages the models, and trains the average on the synthetic
set. Our choices: the synthesizer, the start round, inverting groups of client models together
(``server_group_size: 1`` is the claim's letter), the server's steps and step size. Limit case:
``server_start_round`` beyond the last round is FedAvg.
"""

from __future__ import annotations

import torch

from fedzda.strategies.config.zda import FedZDASConfig
from fedzda.strategies.zda_generators import require_batchnorm
from fedzda.strategies.zdas import ServerSide


class FedZDAS(ServerSide):
    """The server trains the average on images made from the clients' models.

    Leaves the client: its model in the clear (so no secure aggregation) and its sample count; with
    ``server_classes: known`` its class counts too.
    """

    Config = FedZDASConfig

    def check(self, model: torch.nn.Module) -> None:
        """Refuse a model that cannot be inverted, before anything runs."""
        require_batchnorm(model)
