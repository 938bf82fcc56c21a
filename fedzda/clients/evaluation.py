"""One model on many clients' samples: large batches with fixed borders, figures per client."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from fedzda.clients.group_counts import GroupTally

if TYPE_CHECKING:
    from fedzda.clients.runtime import ClientRuntime

Figures = tuple[dict[str, float], dict[str, Any]]
"""Metrics and details of one client."""


def evaluate_segments(
    runtime: ClientRuntime,
    model: nn.Module,
    rows: list[np.ndarray],
    batch_size: int,
    table: dict[str, np.ndarray] | None = None,
) -> list[Figures]:
    """Metrics of ``model`` on each list of rows, in one pass over all of them.

    A client without rows gets zeros: its ``num-examples`` of 0 says that they mean nothing.
    """
    model.eval()
    order = np.concatenate(rows) if rows else np.zeros(0, dtype=np.int64)
    owner = np.repeat(np.arange(len(rows)), [len(own) for own in rows])
    total: dict[str, torch.Tensor] = {}
    tally = None
    if runtime.groups is not None and table is None:
        tally = GroupTally(runtime.groups, runtime.image.num_classes, len(rows))
    with torch.no_grad():
        for start in range(0, len(order), batch_size):
            cut = slice(start, start + batch_size)
            batch = runtime.batch(order[cut], table)
            segments = torch.from_numpy(owner[cut]).to(runtime.device)
            outputs = runtime.task.outputs(model, batch)
            part = runtime.task.segment_statistics(outputs, batch, segments, len(rows))
            for name, value in part.items():
                total[name] = total[name] + value if name in total else value
            if tally is not None:
                tally.add(outputs, batch["label"], owner[cut], order[cut])
    figures = [_figures(runtime, total, index, len(own)) for index, own in enumerate(rows)]
    if tally is not None:
        for index, (_, details) in enumerate(figures):
            details.update(tally.details(index))
    return figures


def _figures(
    runtime: ClientRuntime, total: dict[str, torch.Tensor], index: int, size: int
) -> Figures:
    if size == 0:
        return {runtime.task.primary: 0.0}, {}
    own = {name: value[index] for name, value in total.items()}
    return runtime.task.metrics(own), runtime.task.details(own)
