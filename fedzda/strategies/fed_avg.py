"""Federated averaging (McMahan et al., 2017, arXiv 1602.05629).

The next global model is the mean of the clients' models weighted by their training samples.
Our deviation: BatchNorm variances are pooled by default (``batchnorm: naive`` is the original).
Limit case: one client is local training.
"""

from __future__ import annotations

from fedzda.strategies.base import MeanStrategy
from fedzda.strategies.config.mean import FedAvgConfig


class FedAvg(MeanStrategy):
    """Weighted averaging of the clients' models. Leaves the client: its model, its sample count."""

    Config = FedAvgConfig
