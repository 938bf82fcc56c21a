"""What a client keeps of the classes of earlier phases: rows of its own training samples."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from fedzda.clients.incremental.herding import herd
from fedzda.clients.incremental.probe import features_of
from fedzda.platform.scenario.labels import rows_of_phase

if TYPE_CHECKING:
    from fedzda.clients.runtime import ClientRuntime

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


def memory_of(
    runtime: ClientRuntime,
    client: int,
    kept: Mapping[str, np.ndarray],
    model: nn.Module,
    num_old: int,
) -> dict[str, np.ndarray]:
    """A client's exemplars of the first ``num_old`` classes, as the scenario allows them.

    Args:
        runtime: Holds the data and the scenario.
        client: Number of the client.
        kept: Rows by class so far.
        model: The model at the end of the phase that made these classes old.
        num_old: Classes seen by then.
    """
    scenario: Any = runtime.config.scenario
    each = quota(scenario.exemplars_per_class, scenario.exemplars_total, num_old)
    own = runtime.federation.indices(client, "train")
    labels = runtime.federation.train["label"]
    held = {label: rows_of_phase(own, labels, label, label + 1) for label in range(num_old)}
    return remember(kept, model, held, lambda rows: runtime.batch(rows)["image"], each)


def all_rows(memory: Mapping[str, np.ndarray]) -> np.ndarray:
    """The rows of all exemplars, class by class."""
    parts = [memory[name] for name in sorted(memory, key=int)]
    return np.concatenate(parts) if parts else np.empty(0, dtype=np.int64)
