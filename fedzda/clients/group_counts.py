"""Counts per group and class of each evaluated client, collected batch by batch."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from fedzda.platform.groups import COUNTS, Groups, count_name


class GroupTally:
    """Samples, recognised ones and predictions of every (client, group, class).

    Args:
        groups: The groups of the run.
        num_classes: Number of classes.
        num_clients: Clients that are evaluated together.
    """

    def __init__(self, groups: Groups, num_classes: int, num_clients: int) -> None:
        self.groups = groups
        shape = (num_clients, len(groups.names), num_classes)
        self.counts = {what: np.zeros(shape, dtype=np.int64) for what in COUNTS}

    def add(
        self, outputs: torch.Tensor, labels: torch.Tensor, owner: np.ndarray, rows: np.ndarray
    ) -> None:
        """Take in a batch.

        Args:
            outputs: Logits ``(n, classes)``.
            labels: ``(n,)``.
            owner: ``(n,)`` position of the client among those evaluated.
            rows: ``(n,)`` rows of the training pool.
        """
        predicted, true = outputs.argmax(dim=1).cpu().numpy(), labels.cpu().numpy()
        group, hit = self.groups.row[rows], predicted == true
        np.add.at(self.counts["held"], (owner, group, true), 1)
        np.add.at(self.counts["predicted"], (owner, group, predicted), 1)
        np.add.at(self.counts["hit"], (owner[hit], group[hit], true[hit]), 1)

    def details(self, client: int) -> dict[str, Any]:
        """Lists over the classes for the client table; a count of 0 is NaN, which takes no row."""
        found = {}
        for group in np.flatnonzero(self.counts["held"][client].sum(axis=1)):
            for what in COUNTS:
                counts = self.counts[what][client, group].astype(float)
                found[count_name(what, int(group))] = np.where(counts > 0, counts, np.nan).tolist()
        return found
