"""Oversampling of a client's rare classes: re-balancing without synthesis.

A control arm: clients repeat samples of their own rare classes. ``amount: balance`` brings every
class a client holds up to its largest one; ``as-zdac`` adds as many samples as Fed-ZDAC would, so
that both take the same number of gradient steps. Classes a client does not hold stay missing: what
Fed-ZDAC gains over this arm comes from those. Limit case: ``start_round`` beyond the last round is
FedAvg, bit for bit.
"""

from __future__ import annotations

from typing import Any

from fedzda.platform.devices.work import ExtraWork
from fedzda.strategies.config.controls import OversamplingConfig
from fedzda.strategies.fills import FillStrategy


class Oversampling(FillStrategy):
    """Clients repeat samples of their rare classes.

    Leaves the client: its model and its sample count, as in FedAvg.
    """

    Config = OversamplingConfig
    key = "oversampling"

    def work(self) -> ExtraWork:
        """The repeated samples."""
        return ExtraWork(fill="balance") if self.config.amount == "balance" else super().work()

    def options(self) -> dict[str, Any]:
        """How many samples are repeated, and which."""
        names = ("fill", "cap", "amount")
        return {"repeat": "rare", **{name: getattr(self.config, name) for name in names}}
