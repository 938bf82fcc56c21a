"""Ditto (Li, Hu, Beirami, Smith, ICML 2021, arXiv 2012.04221).

The global model is trained as in FedAvg. Beside it, every client keeps a personal model ``v_k`` as
client state and takes steps ``v_k <- v_k - eta (grad F_k(v_k) + lam (v_k - w))`` towards its own
data and the received model ``w``. The global model is evaluated as stage ``global``, the personal
ones as ``personalised``; the two never mix. A client that was never drawn is evaluated with the
global model in both. Our deviations: a client's first personal model is the first one it receives;
``lam`` is the same for all clients (the paper also picks it per client on validation data). Limit
cases: the global model is FedAvg's for every ``lam``, bit for bit; with ``lam: 0`` the personal
models are those of local-only training, bit for bit, where all clients take part in every round.
"""

from __future__ import annotations

import json

from flwr.app import ArrayRecord, RecordDict

from fedzda.platform.devices.work import ExtraWork
from fedzda.strategies.base import CONFIG, MeanStrategy
from fedzda.strategies.config.personal import DittoConfig


class Ditto(MeanStrategy):
    """Personal models beside the global one.

    Leaves the client: its copy of the global model and its sample count; never the personal model.
    """

    Config = DittoConfig
    stages = ("global", "personalised")

    def request(self, server_round: int, arrays: ArrayRecord, record: RecordDict) -> None:
        """Send the options of the personal model."""
        super().request(server_round, arrays, record)
        options = {name: getattr(self.config, name) for name in ("lam", "personal_epochs")}
        record.config_records[CONFIG]["ditto"] = json.dumps(options)
        self.tell_work(record, self._work())

    def _work(self) -> ExtraWork:
        """Another training like the plain one, or so many passes with gradients."""
        epochs, clock = self.config.personal_epochs, self.setting.clock
        if epochs is None or clock is None:
            return ExtraWork(trainings=1.0)
        return ExtraWork(forward=epochs * clock.fleet.config.train_factor)
