"""A class-incremental scenario as a client sees it: which of its samples exist in a round."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from torch import nn

from fedzda.clients.incremental.head import head_of
from fedzda.platform.averaging import as_tensor
from fedzda.platform.data.federation import Federation, Split
from fedzda.platform.scenario.labels import rows_of_phase
from fedzda.platform.scenario.schedule import PhaseSchedule


class Phases:
    """Rows and head of a round.

    Args:
        schedule: Rounds and classes of every phase.
        federation: Relabelled by the schedule.
    """

    def __init__(self, schedule: PhaseSchedule, federation: Federation) -> None:
        self.schedule = schedule
        self.federation = federation

    def rows(self, rows: np.ndarray, split: Split, round_: int) -> np.ndarray:
        """Training and validation rows of the phase's classes; test rows of all seen ones."""
        classes = self.schedule.trained(self.schedule.phase(round_))
        first = 0 if split == "test" else classes.start
        return rows_of_phase(rows, self.federation.train["label"], first, classes.stop)

    def seen(self, round_: int) -> int:
        """Classes seen up to a round."""
        return self.schedule.seen(self.schedule.phase(round_))

    def tell(
        self, model: nn.Module, round_: int, means: Mapping[str, np.ndarray] | None = None
    ) -> None:
        """Let the head have the classes seen up to a round, and class means to go by, if any."""
        head = head_of(model)
        head.seen, head.means = self.seen(round_), None
        if means is not None:
            head.means = as_tensor(means["means"]).to(head.weight.device)

    def tested(self, model: nn.Module, rows: np.ndarray, round_: int) -> np.ndarray:
        """Rows of the global test set whose classes have been seen; tells the head as well."""
        self.tell(model, round_)
        return rows_of_phase(rows, self.federation.test["label"], 0, self.seen(round_))
