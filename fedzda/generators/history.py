"""The losses of a fit, thinned out so that a file holds a curve and not every step."""

from __future__ import annotations

import json
from collections.abc import Mapping

import torch

_POINTS = 200


class History:
    """Columns of equal length: ``step`` and whatever is measured, at most about 200 rows.

    Args:
        steps: Number of steps to come, counted from 1; the last one is always kept.
    """

    def __init__(self, steps: int) -> None:
        self.steps = steps
        self.every = -(-steps // _POINTS)
        self.columns: dict[str, list[float]] = {"step": []}

    def wants(self, step: int) -> bool:
        """Whether ``step`` is to be kept; ask first, because reading a loss waits for a GPU."""
        return step % self.every == 0 or step in (1, self.steps)

    def add(self, step: int, values: Mapping[str, float | torch.Tensor]) -> None:
        """Append a row; all rows have the same names."""
        self.columns["step"].append(step)
        for name, value in values.items():
            self.columns.setdefault(name, []).append(float(value))

    def json(self) -> str:
        """The columns as JSON, six digits each."""
        return json.dumps(
            {name: [float(f"{v:.6g}") for v in column] for name, column in self.columns.items()}
        )
