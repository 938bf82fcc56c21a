"""Fake quantization: round tensors to a uniform grid of 2^k levels, with a straight-through
gradient. Rounding is half to even everywhere.

jacob         n = 2^k - 1, S = (hi - lo) / n, z = round(-lo / S), q = clamp(round(x / S) + z, 0, n),
              x^ = S (q - z); symmetric: S = max|x| / (2^(k-1) - 1), z = 0. The range always
              contains 0, which is exact. Gradient 1 inside the grid, 0 outside.
              Jacob et al. 2018 (arXiv 1712.05877), section 2.
zeroq_compat  n = 2^k - 1, S = n / max(hi - lo, 1e-8), z = round(S lo) + 2^(k-1),
              q = clamp(round(S x - z), -2^(k-1), 2^(k-1) - 1), x^ = (q + z) / S. Zero need not be
              on the grid; gradient 1 everywhere. The form of the public zero-shot code.
lsq           x^ = S (clamp(round(x / S) + z, qmin, qmax) - z) with a learned S.
              Esser et al. 2020 (arXiv 1902.08153), equations 1 to 3.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch

_SMALLEST_SCALE = 1e-12


@dataclass(frozen=True)
class Grid:
    """A uniform grid: the value of level ``q`` is ``scale * (q - zero_point)``.

    Attributes:
        scale: Step, float32, ``()`` for the whole tensor or ``(C,)`` per channel.
        zero_point: Level of the value 0, int32, shape of ``scale``.
        qmin: Lowest level.
        qmax: Highest level.
        axis: Dimension of the channels; only if ``scale`` is ``(C,)``.
    """

    scale: torch.Tensor
    zero_point: torch.Tensor
    qmin: int
    qmax: int
    axis: int = 0

    @property
    def per_channel(self) -> bool:
        """One step per channel."""
        return self.scale.dim() > 0

    def as_channels(self, channels: int) -> Grid:
        """The same grid, written per channel."""
        scale, zero_point = self.scale.expand(channels), self.zero_point.expand(channels)
        return replace(self, scale=scale, zero_point=zero_point)

    def levels(self, x: torch.Tensor) -> torch.Tensor:
        """Integer level of each value of ``x``, int32."""
        scale, zero_point = _spread(self.scale, x, self.axis), self.zero_point.to(x)
        level = torch.round(x / scale) + _spread(zero_point, x, self.axis)
        return level.clamp(self.qmin, self.qmax).to(torch.int32)

    def values(self, levels: torch.Tensor) -> torch.Tensor:
        """Value of each level, float32."""
        zero_point = _spread(self.zero_point, levels, self.axis)
        return (levels - zero_point) * _spread(self.scale, levels, self.axis)


def affine_grid(
    lo: torch.Tensor, hi: torch.Tensor, bits: int, symmetric: bool, narrow: bool = False
) -> Grid:
    """The ``jacob`` grid of a range.

    Args:
        lo: Lower end, ``()`` or ``(C,)``; moved down to 0 if positive.
        hi: Upper end; moved up to 0 if negative.
        bits: Bit width ``k``.
        symmetric: Signed levels around ``zero_point`` 0; otherwise levels from 0 to ``2^k - 1``.
        narrow: Leave out level ``-2^(k-1)`` of a symmetric grid, as weights do.
    """
    lo, hi = lo.detach().float().clamp(max=0), hi.detach().float().clamp(min=0)
    if symmetric:
        qmax = 2 ** (bits - 1) - 1
        scale = (torch.maximum(-lo, hi) / qmax).clamp(min=_SMALLEST_SCALE)
        zero_point = torch.zeros_like(scale, dtype=torch.int32)
        return Grid(scale, zero_point, -qmax if narrow else -qmax - 1, qmax)
    qmax = 2**bits - 1
    scale = ((hi - lo) / qmax).clamp(min=_SMALLEST_SCALE)
    zero_point = torch.round(-lo / scale).clamp(0, qmax).to(torch.int32)
    return Grid(scale, zero_point, 0, qmax)


def fake_quantize(x: torch.Tensor, grid: Grid) -> torch.Tensor:
    """``x`` on the grid; gradient 1 where the unclamped level lies on the grid, 0 elsewhere."""
    scale, zero_point = grid.scale, grid.zero_point
    if grid.per_channel:
        return torch.fake_quantize_per_channel_affine(
            x, scale, zero_point, grid.axis, grid.qmin, grid.qmax
        )
    return torch.fake_quantize_per_tensor_affine(x, scale, zero_point, grid.qmin, grid.qmax)


def zeroq_compat(
    x: torch.Tensor, lo: torch.Tensor, hi: torch.Tensor, bits: int, axis: int = 0
) -> torch.Tensor:
    """``x`` on the grid of the public zero-shot code; gradient 1 everywhere.

    Args:
        x: Values.
        lo: Lower end, ``()`` or ``(C,)``.
        hi: Upper end, shape of ``lo``.
        bits: Bit width ``k``.
        axis: Dimension of the channels, if ``lo`` is ``(C,)``.
    """
    half = 2 ** (bits - 1)
    with torch.no_grad():
        scale = (2 * half - 1) / (hi - lo).clamp(min=1e-8)
        zero_point = _spread(torch.round(scale * lo) + half, x, axis)
        scale = _spread(scale, x, axis)
        level = torch.round(scale * x - zero_point).clamp(-half, half - 1)
        shift = (level + zero_point) / scale - x
    return x + shift


def lsq(x: torch.Tensor, grid: Grid, step: torch.Tensor, values_per_step: int) -> torch.Tensor:
    """``x`` on a grid with a learned step.

    The gradient of the step is that of equation 3, times ``1 / sqrt(values_per_step * Qp)``
    (section 2.2), where ``Qp`` is the number of levels above zero. A fixed zero point is our
    addition for tensors that are neither signed around zero nor positive.

    Args:
        x: Values.
        grid: Levels, zero point and axis; its scale is not used.
        step: The learned step, positive, ``()`` or ``(C,)``.
        values_per_step: Values of one sample that share a step.
    """
    largest = max(grid.qmax - int(grid.zero_point.min()), 1)
    factor = 1 / math.sqrt(values_per_step * largest)
    scaled = step * factor
    return on_learned_grid(x, grid, scaled + (step - scaled).detach())


def on_learned_grid(x: torch.Tensor, grid: Grid, step: torch.Tensor) -> torch.Tensor:
    """``x`` on a grid with a learned step, equation 3 without a factor on the step's gradient.

    Args:
        x: Values.
        grid: Levels, zero point and axis; its scale is not used.
        step: The learned step, positive, ``()`` or ``(C,)``.
    """
    step = _spread(step, x, grid.axis)
    zero_point = _spread(grid.zero_point.to(x), x, grid.axis)
    level = torch.minimum(torch.maximum(x / step, grid.qmin - zero_point), grid.qmax - zero_point)
    level = level + (torch.round(level) - level).detach()
    found: torch.Tensor = level * step
    return found


def lsq_step(mean_magnitude: torch.Tensor, grid: Grid) -> torch.Tensor:
    """First step, ``2 E|x| / sqrt(Qp)`` (Esser et al. 2020, section 2.1)."""
    largest = max(grid.qmax - int(grid.zero_point.min()), 1)
    return (2 * mean_magnitude / math.sqrt(largest)).clamp(min=_SMALLEST_SCALE)


def _spread(value: torch.Tensor, x: torch.Tensor, axis: int) -> torch.Tensor:
    """``(C,)`` shaped so that it meets dimension ``axis`` of ``x``."""
    if value.dim() == 0:
        return value
    return value.view([-1 if dim == axis else 1 for dim in range(x.dim())])
