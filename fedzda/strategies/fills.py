"""Strategies that average and let clients train on more than their own samples."""

from __future__ import annotations

import json
from typing import Any, ClassVar

from flwr.app import ArrayRecord, RecordDict

from fedzda.platform.devices.work import ExtraWork
from fedzda.strategies.base import CONFIG, MeanStrategy


class FillStrategy(MeanStrategy):
    """Sends the options of the client's half from ``start_round`` on; before that it is FedAvg."""

    config: Any
    key: ClassVar[str]
    """Key of the request that switches the client's half on."""

    def request(self, server_round: int, arrays: ArrayRecord, record: RecordDict) -> None:
        """Add the options."""
        super().request(server_round, arrays, record)
        if server_round >= self.config.start_round:
            record.config_records[CONFIG][self.key] = json.dumps(self.options())
            self.tell_work(record, self.work())

    def work(self) -> ExtraWork:
        """The additional samples, as Fed-ZDAC adds them."""
        apart = getattr(self.config, "loss_mix", "equal") == "count"
        return ExtraWork(fill=self.config.fill, cap=self.config.cap, apart=apart)

    def options(self) -> dict[str, Any]:
        """What the client's half is told."""
        return {name: getattr(self.config, name) for name in ("fill", "cap", "loss_mix")}
