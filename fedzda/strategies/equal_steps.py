"""FedAvg with as many gradient steps as Fed-ZDAC takes.

A control arm: Fed-ZDAC trains on more samples, hence takes more steps. Here every client repeats
its own samples, all classes alike, until it has as many as Fed-ZDAC would give it. Limit case:
``start_round`` beyond the last round is FedAvg, bit for bit.
"""

from __future__ import annotations

from typing import Any

from fedzda.strategies.config.controls import EqualStepsConfig
from fedzda.strategies.fills import FillStrategy


class EqualSteps(FillStrategy):
    """Clients go on with their own samples for as long as Fed-ZDAC's would.

    Leaves the client: its model and its sample count, as in FedAvg.
    """

    Config = EqualStepsConfig
    key = "oversampling"

    def options(self) -> dict[str, Any]:
        """How many samples are repeated."""
        names = ("fill", "cap")
        told = {name: getattr(self.config, name) for name in names}
        return {"repeat": "all", "amount": "as-zdac", **told}
