"""BatchNorm of one client among many: statistics of its own samples, without the padding.

Written for the inside of ``torch.func.vmap``, where no layer may write to its running statistics.
A layer therefore only notes what it saw; :func:`learn` updates the statistics of all clients
afterwards.

Shapes: K clients, B rows of a padded batch, C channels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import nn

from fedzda.base import UserError

AnyBatchNorm = nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d


@dataclass
class Rows:
    """What the layers must know about the current batch; one object for all of a network.

    Attributes:
        full: No client has padding, and all may learn: plain BatchNorm will do.
        real: Bool (B,), False for padding.
        learns: Bool (), False for a client of one sample: its BatchNorm uses the statistics it
            received and leaves them alone, as ``training.freeze_batchnorm`` does.
    """

    full: bool
    real: torch.Tensor
    learns: torch.Tensor


class Statistics(NamedTuple):
    """What one layer saw in one pass; with a leading K outside of ``vmap``."""

    mean: torch.Tensor
    """(C,)."""
    variance: torch.Tensor
    """(C,), divided by ``values``."""
    values: torch.Tensor
    """(), values per channel; up to 1: there was nothing to learn from."""


class ClientBatchNorm(nn.Module):
    """Stands in for a BatchNorm layer in train mode, under the same names.

    Where a client has a single value per channel, or must not learn, its running statistics
    normalise (see ``models.layers.BatchNorm1d``).

    Args:
        layer: The layer to replace; it must have running statistics.
        name: Its place in the model, for error messages.
    """

    rows: Rows
    running_mean: torch.Tensor
    running_var: torch.Tensor

    def __init__(self, layer: AnyBatchNorm, name: str) -> None:
        super().__init__()
        self.weight, self.bias = layer.weight, layer.bias
        for buffer in ("running_mean", "running_var", "num_batches_tracked"):
            self.register_buffer(buffer, getattr(layer, buffer))
        self.eps, self.momentum, self.name = layer.eps, layer.momentum, name
        self.seen: list[Statistics] = []

    def forward(self, x_BC: torch.Tensor) -> torch.Tensor:
        """Normalise ``(B, C, …)``; rows of padding come out finite and mean nothing."""
        values = x_BC.shape[2:].numel()
        if self.rows.full and len(x_BC) * values > 1:
            return self._whole(x_BC, len(x_BC) * values)
        if len(x_BC) != len(self.rows.real):
            raise UserError(
                f"layer '{self.name}' gets {len(x_BC)} rows for a batch of {len(self.rows.real)} "
                "samples, so padding cannot be told from samples. Train its clients one by one."
            )
        return self._masked(x_BC, values)

    def _whole(self, x_BC: torch.Tensor, count: int) -> torch.Tensor:
        out, mean, inverse_std = torch.native_batch_norm(
            x_BC, self.weight, self.bias, None, None, True, 0.0, self.eps
        )
        variance = (inverse_std.pow(-2) - self.eps).clamp(min=0)
        self.seen.append(Statistics(mean, variance, mean.new_full((), count)))
        return out

    def _masked(self, x_BC: torch.Tensor, values: int) -> torch.Tensor:
        axes = [0, *range(2, x_BC.dim())]
        channels = (1, -1, *[1] * (x_BC.dim() - 2))
        real = self.rows.real.view(-1, *[1] * (x_BC.dim() - 1))
        count = (self.rows.real.sum() * values * self.rows.learns).to(x_BC.dtype)
        divisor = count.clamp(min=1)
        mean = torch.where(real, x_BC, 0).sum(axes) / divisor
        centred = torch.where(real, x_BC - mean.view(channels), 0)
        variance = centred.square().sum(axes) / divisor
        self.seen.append(Statistics(mean, variance, count))
        mean = torch.where(count > 1, mean, self.running_mean)
        scale = torch.where(count > 1, variance, self.running_var).add(self.eps).rsqrt()
        if self.weight is not None:
            scale = scale * self.weight
        out = (x_BC - mean.view(channels)) * scale.view(channels)
        return out if self.bias is None else out + self.bias.view(channels)


def learn(
    seen: Statistics,
    momentum: float | None,
    mean_KC: torch.Tensor,
    variance_KC: torch.Tensor,
    tracked_K: torch.Tensor,
) -> None:
    """Update running statistics in place as ``nn.BatchNorm2d`` does, for each client that learns.

    Args:
        seen: Of one pass, with a leading K.
        momentum: Weight of the new statistics; None: all batches count alike.
        mean_KC: Running means.
        variance_KC: Running variances, divided by ``values - 1``.
        tracked_K: Batches seen so far, int64.
    """
    learns = seen.values > 1
    tracked_K += learns
    factor = learns.to(mean_KC.dtype)[:, None]
    factor *= 1 / tracked_K.clamp(min=1).to(factor)[:, None] if momentum is None else momentum
    unbiased = seen.variance * (seen.values / (seen.values - 1).clamp(min=1))[:, None]
    mean_KC.lerp_(seen.mean, factor)
    variance_KC.lerp_(unbiased, factor)
