"""Observers find the range of a tensor over batches: extremes, their moving average, percentiles.

State lives in buffers, so that it is saved and moved with the model.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from fedzda.compression.config import ActivationConfig

Extremes = Callable[[torch.Tensor], tuple[torch.Tensor, torch.Tensor]]


def rows(x: torch.Tensor, axis: int | None) -> torch.Tensor:
    """``x`` as ``(groups, values)``: one group, or one per index of dimension ``axis``."""
    if axis is None:
        return x.reshape(1, -1)
    return x.movedim(axis, 0).reshape(x.shape[axis], -1)


def min_max(x_GV: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Smallest and largest value of each row."""
    lo, hi = x_GV.aminmax(dim=1)
    return lo, hi


def percentiles(x_GV: torch.Tensor, percentile: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Values at the ranks nearest to ``100 - percentile`` and ``percentile`` in each row."""
    last = x_GV.shape[1] - 1
    rank = round(last * percentile / 100)
    return x_GV.kthvalue(last - rank + 1, dim=1)[0], x_GV.kthvalue(rank + 1, dim=1)[0]


class Observer(nn.Module):
    """Range and mean magnitude of what it is shown.

    Args:
        config: Which range.
        groups: Number of channels with a range of their own, or 1.
        axis: Dimension of those channels; None: one range for the tensor.
    """

    lo: torch.Tensor
    hi: torch.Tensor
    magnitude: torch.Tensor
    batches: torch.Tensor

    def __init__(self, config: ActivationConfig, groups: int = 1, axis: int | None = None) -> None:
        super().__init__()
        self.config, self.axis = config, axis
        for name in ("lo", "hi", "magnitude"):
            self.register_buffer(name, torch.zeros(groups))
        self.register_buffer("batches", torch.zeros((), dtype=torch.int64))

    @torch.no_grad()
    def observe(self, x: torch.Tensor) -> None:
        """Take in one batch."""
        x_GV = rows(x.detach().float(), self.axis)
        if self.config.range == "percentile":
            lo, hi = percentiles(x_GV, self.config.percentile)
        else:
            lo, hi = min_max(x_GV)
        self.batches += 1
        self.magnitude += (x_GV.abs().mean(dim=1) - self.magnitude) / self.batches
        if self.config.range == "ema":
            # the raw accumulator, from zero; `range` corrects it without storing the correction
            decay = self.config.ema_decay
            self.lo.mul_(decay).add_(lo, alpha=1 - decay)
            self.hi.mul_(decay).add_(hi, alpha=1 - decay)
        elif self.config.range == "percentile":
            self.lo += (lo - self.lo) / self.batches
            self.hi += (hi - self.hi) / self.batches
        elif self.batches == 1:
            self.lo.copy_(lo)
            self.hi.copy_(hi)
        else:
            torch.minimum(self.lo, lo, out=self.lo)
            torch.maximum(self.hi, hi, out=self.hi)

    def range(self) -> tuple[torch.Tensor, torch.Tensor]:
        """The range so far, ``()`` or ``(C,)``; assumes at least one batch."""
        lo, hi = self.lo, self.hi
        if self.config.range == "ema":
            seen = 1 - self.config.ema_decay ** int(self.batches)
            lo, hi = lo / seen, hi / seen
        return (lo[0], hi[0]) if self.axis is None else (lo, hi)
