"""Where the step of an activation's grid comes from: a network of the time step, or a baseline.

Every source is a module ``source(x, moment) -> step``, ``()`` for the batch or ``(N,)`` per image.
TDQ: So et al. 2023 (arXiv 2306.02316), section 4.
"""

from __future__ import annotations

import math

import torch
from torch import nn

from fedzda.base import UserError

SMALLEST = 1e-8
TRAIN_STEPS = 1000
"""T: time steps of training are ``0 .. T - 1``."""


def time_encoding(timesteps_N: torch.Tensor, dim: int) -> torch.Tensor:
    """``[cos(t w), sin(t w)]``, ``(N, dim)``, with ``w_j = 10000^(-j / (dim / 2))``."""
    half = dim // 2
    index = torch.arange(half, dtype=torch.float32, device=timesteps_N.device)
    angle = timesteps_N.float()[:, None] * torch.exp(-math.log(10000) * index / half)
    return torch.cat([angle.cos(), angle.sin()], dim=1)


class Moment:
    """The time steps of the current call, which the denoiser publishes to all its quantizers.

    Attributes:
        timesteps: ``(1,)`` or ``(N,)``.
        encoding: Their encoding, ``(1, dim)`` or ``(N, dim)``.
        index: Their places in the frozen table, if there is one.
    """

    def __init__(self, dim: int) -> None:
        self.dim = dim
        self.table: torch.Tensor | None = None
        self.timesteps = self.encoding = self.index = torch.empty(0)

    def take(self, timesteps: torch.Tensor, device: torch.device) -> None:
        """Publish the time steps of a call.

        Raises:
            UserError: A time step is not in the frozen table.
        """
        self.timesteps = timesteps.to(device).reshape(-1)
        if self.table is None:
            self.encoding = time_encoding(self.timesteps, self.dim)
            return
        table = self.table.to(device)
        same = self.timesteps[:, None].to(table) == table
        if not bool(same.any(dim=1).all()):
            missing = float(self.timesteps[~same.any(dim=1)][0])
            raise UserError(
                f"time step {missing:g} is not among the {len(table)} that freeze_tdq was given. "
                "Freeze a copy that was not frozen yet, with the time steps of this sampler."
            )
        self.index = same.float().argmax(dim=1)


class StepNetwork(nn.Module):
    """Step of a tensor as a smooth function of the time step (TDQ, equation 7 on).

    Args:
        dim: Size of the time encoding.
        hidden: Width of the three hidden layers.
        dropout: Before the last layer.
    """

    def __init__(self, dim: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(dim, hidden),
            nn.ReLU(),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            nn.Dropout(dropout),
        )
        self.last = nn.Linear(hidden, 1)

    @torch.no_grad()
    def start(self, step: float) -> None:
        """Begin near a constant: the bias of the last layer becomes softplus^-1(step)."""
        self.last.bias.fill_(step + math.log(-math.expm1(-step)))

    def at(self, encoding: torch.Tensor) -> torch.Tensor:
        """Steps ``(N,)`` for time encodings ``(N, dim)``."""
        return nn.functional.softplus(self.last(self.layers(encoding))).squeeze(1)

    def forward(self, x: torch.Tensor, moment: Moment) -> torch.Tensor:
        """The steps of the current call."""
        return self.at(moment.encoding)


class ConstantStep(nn.Module):
    """One step for all time steps: learned (LSQ) or fixed (static)."""

    def __init__(self, learned: bool) -> None:
        super().__init__()
        self.step = nn.Parameter(torch.ones(()), requires_grad=learned)

    @torch.no_grad()
    def start(self, step: float) -> None:
        """Begin with this step."""
        self.step.fill_(step)

    def forward(self, x: torch.Tensor, moment: Moment) -> torch.Tensor:
        """The step."""
        return self.step.clamp(min=SMALLEST)


class BinnedStep(nn.Module):
    """One learned step per bin of time steps, as EfficientDM (He et al. 2024) has one per step."""

    def __init__(self, bins: int) -> None:
        super().__init__()
        self.step = nn.Parameter(torch.ones(bins))

    @torch.no_grad()
    def start(self, step: float) -> None:
        """Begin with this step in all bins."""
        self.step.fill_(step)

    def forward(self, x: torch.Tensor, moment: Moment) -> torch.Tensor:
        """The steps of the current call."""
        bins = len(self.step)
        place = (moment.timesteps * bins / TRAIN_STEPS).long().clamp(0, bins - 1)
        return self.step[place].clamp(min=SMALLEST)


class DynamicStep(nn.Module):
    """From the extremes of each image's own activations, at every call.

    Args:
        levels: Steps between the offset and the end of the grid.
        offset: Lower end of the grid; None: symmetric.
    """

    def __init__(self, levels: int, offset: float | None) -> None:
        super().__init__()
        self.levels, self.offset = levels, offset

    def start(self, step: float) -> None:
        """Nothing to begin with."""

    def forward(self, x: torch.Tensor, moment: Moment) -> torch.Tensor:
        """Steps ``(N,)``."""
        rows = x.detach().flatten(1)
        reach = rows.abs().amax(dim=1) if self.offset is None else rows.amax(dim=1) - self.offset
        return (reach / self.levels).clamp(min=SMALLEST)


class TableStep(nn.Module):
    """Steps looked up: what a step network says at the sampled time steps.

    Args:
        table_K: One step per time step of ``Moment.table``.
    """

    table: torch.Tensor

    def __init__(self, table_K: torch.Tensor) -> None:
        super().__init__()
        self.register_buffer("table", table_K)

    def forward(self, x: torch.Tensor, moment: Moment) -> torch.Tensor:
        """The steps of the current call."""
        return self.table[moment.index]
