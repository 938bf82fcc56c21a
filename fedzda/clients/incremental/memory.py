"""What a client keeps of the classes of earlier phases: rows of its own training samples."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import nn

from fedzda.clients.incremental.herding import herd
from fedzda.clients.incremental.probe import features_of

EXEMPLARS = "exemplars"
"""Record of a client's state: rows of exemplars by class, the best first."""


def quota(per_class: int, total: int | None, num_old: int) -> int:
    """Exemplars of each of ``num_old`` classes: a fixed number, or an even share of a total."""
    return per_class if total is None else total // num_old


def remember(
    kept: Mapping[str, np.ndarray],
    model: nn.Module,
    rows_by_class: Mapping[int, np.ndarray],
    images_of: Any,
    each: int,
) -> dict[str, np.ndarray]:
    """The memory after a phase: classes that have none are herded, the others are cut to ``each``.

    Args:
        kept: Rows by class so far.
        model: The model at the end of the phase, whose features herding looks at.
        rows_by_class: The client's rows of every class that is old now.
        images_of: Rows to normalised images ``(N, C, H, W)``.
        each: Exemplars of each class.
    """
    memory = {}
    for label, rows in sorted(rows_by_class.items()):
        name = str(label)
        if name in kept:
            memory[name] = kept[name][:each]
        elif each and len(rows):
            chosen = herd(features_of(model, images_of(rows)), each)
            memory[name] = np.asarray(rows)[torch.tensor(chosen).numpy()]
    return memory


def all_rows(memory: Mapping[str, np.ndarray]) -> np.ndarray:
    """The rows of all exemplars, class by class."""
    parts = [memory[name] for name in sorted(memory, key=int)]
    return np.concatenate(parts) if parts else np.empty(0, dtype=np.int64)
