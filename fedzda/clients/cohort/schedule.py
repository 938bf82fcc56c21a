"""Which samples each client of a group uses at each step.

Clients are sorted by falling number of steps, so that those still at work are always the first
ones, and those that are done drop out of the arrays instead of being masked.

Shapes: K clients, S steps, B rows of the largest batch.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from fedzda.clients.cohort.batchnorm import Rows
from fedzda.clients.training import batches
from fedzda.platform.config import LocalConfig


@dataclass(frozen=True)
class Step:
    """One step of the clients still at work.

    Attributes:
        index: Rows of the concatenated data, int64 (active, B of this step); padding repeats the
            client's first row of the step.
        counts: Rows that are no padding, int64 (active,).
        rows: The same as a mask.
    """

    index: torch.Tensor
    counts: torch.Tensor
    rows: Rows


class Schedule:
    """All steps of a group of clients, drawn as ``training.train`` draws them.

    Args:
        sizes: Samples of each client, at least one.
        local: Batch size, epochs or steps.
        rngs: One per client.
        device: Where the indices go, all at once.

    Attributes:
        order: Clients by falling number of steps; positions in all arrays follow it.
        num_steps: Steps of each client, in that order.
        num_samples: Samples seen by each client over all steps, in that order.
    """

    def __init__(
        self,
        sizes: list[int],
        local: LocalConfig,
        rngs: list[np.random.Generator],
        device: torch.device,
    ) -> None:
        steps = [batches(size, local, rng) for size, rng in zip(sizes, rngs, strict=True)]
        self.order = sorted(range(len(sizes)), key=lambda client: -len(steps[client]))
        self.num_steps = [len(steps[client]) for client in self.order]
        starts = np.cumsum([0, *sizes])
        shape = (max(self.num_steps), len(sizes))
        index_SKB = np.zeros((*shape, max(len(r) for own in steps for r in own)), dtype=np.int64)
        self._counts_SK = np.zeros(shape, dtype=np.int64)
        for position, client in enumerate(self.order):
            for number, rows in enumerate(steps[client]):
                index_SKB[number, position] = starts[client] + rows[0]
                index_SKB[number, position, : len(rows)] = starts[client] + rows
                self._counts_SK[number, position] = len(rows)
        self.num_samples = self._counts_SK.sum(axis=0)
        self._learns_K = np.array([sizes[client] > 1 for client in self.order])
        self._index = torch.from_numpy(index_SKB).to(device)
        self._counts = torch.from_numpy(self._counts_SK).to(device)
        self._learns = torch.from_numpy(self._learns_K).to(device)

    def __len__(self) -> int:
        return len(self._counts_SK)

    def __getitem__(self, number: int) -> Step:
        counts_K = self._counts_SK[number]
        active, width = int((counts_K > 0).sum()), int(counts_K.max())
        full = bool((counts_K[:active] == width).all() and self._learns_K[:active].all())
        counts = self._counts[number, :active]
        real = torch.arange(width, device=counts.device) < counts[:, None]
        rows = Rows(full, real, self._learns[:active])
        return Step(self._index[number, :active, :width], counts, rows)
