"""Layers that quantize their input and their weights; the layers of a model are turned into these.

n = 2^bits - 1, h = n // 2 - 1.
symmetric   x^ = round(clamp(x / s, -h, h)) s
after SiLU  x^ = round(clamp((x - c) / s, 0, n - 1)) s + c, c = -0.2785 (its minimum)
weights     symmetric, with a learned step whose gradient is scaled by 1 / sqrt(n numel)
Rounding passes gradients straight through; clamping is differentiated.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import nn

from fedzda.compression.diffusion.config import TDQConfig
from fedzda.compression.diffusion.steps import (
    SMALLEST,
    BinnedStep,
    ConstantStep,
    DynamicStep,
    Moment,
    StepNetwork,
    TableStep,
)
from fedzda.compression.quantizers import Grid, on_learned_grid

SILU_MINIMUM = -0.2785
_SPREAD_SYMMETRIC, _SPREAD_SILU = 3, 16
"""Standard deviations above the mean that the first grid reaches."""
_KEPT = 4096
"""Values of a batch that calibration keeps for the search of the best step."""
_CANDIDATES = 100

Mode = Literal["float", "observe", "fit", "quantize"]
StepSource = StepNetwork | ConstantStep | BinnedStep | DynamicStep | TableStep


def levels(bits: int, silu: bool) -> tuple[int, int]:
    """Lowest and highest level of a grid."""
    n = 2**bits - 1
    return (0, n - 1) if silu else (-(n // 2 - 1), n // 2 - 1)


class InputQuantizer(nn.Module):
    """Quantizes the input of one layer.

    ``mode``: ``float`` passes it on, ``observe`` looks at it too, ``fit`` also measures the error
    that quantization would make (``error``, relative), ``quantize`` quantizes.

    Args:
        config: Bits and method.
        offset: Lower end of the grid, after SiLU; None: symmetric.
        moment: Where the denoiser publishes its time steps.
    """

    def __init__(self, config: TDQConfig, offset: float | None, moment: Moment) -> None:
        super().__init__()
        self.offset, self.moment, self.method = offset, moment, config.method
        learned = config.method in ("tdq", "lsq", "per-step")
        self.searches = config.method == "static-mse" or (
            learned and config.activation_start == "mse"
        )
        self.low, self.high = levels(config.activation_bits, offset is not None)
        self.mode: Mode = "float"
        self.error = torch.zeros(())
        self.source = self._source(config)
        self.seen: list[torch.Tensor] = []
        self.sums = torch.zeros(3, dtype=torch.float64)
        self.reach = 0.0

    def _source(self, config: TDQConfig) -> StepSource:
        if config.method == "tdq":
            return StepNetwork(self.moment.dim, config.hidden_dim, config.dropout)
        if config.method == "per-step":
            return BinnedStep(config.step_bins)
        if config.method == "dynamic":
            return DynamicStep(self.high, self.offset)
        return ConstantStep(learned=config.method == "lsq")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``x`` as the mode wants it, ``(N, …)``."""
        if self.mode == "quantize":
            return self.quantize(x, self.source(x, self.moment))
        if self.mode == "observe":
            self._observe(x)
        elif self.mode == "fit":
            fixed = x.detach()
            gap = self.quantize(fixed, self.source(fixed, self.moment)) - fixed
            self.error = gap.square().mean() / fixed.square().mean().clamp(min=SMALLEST)
        return x

    def quantize(self, x: torch.Tensor, step: torch.Tensor) -> torch.Tensor:
        """``x`` on the grid of a step, ``()`` or ``(N,)``."""
        grid = Grid(step, torch.zeros_like(step, dtype=torch.int32), self.low, self.high, 0)
        if step.numel() == 1:
            step = step.reshape(())
        if self.offset is None:
            return on_learned_grid(x, grid, step)
        return on_learned_grid(x - self.offset, grid, step) + self.offset

    @torch.no_grad()
    def _observe(self, x: torch.Tensor) -> None:
        flat = x.detach().flatten()
        wide = flat.double()
        found = [float(len(wide)), float(wide.sum()), float(wide.square().sum())]
        self.sums += torch.tensor(found, dtype=torch.float64)
        far = flat.abs().max() if self.offset is None else flat.max() - self.offset
        self.reach = max(self.reach, float(far))
        if self.searches:
            place = torch.linspace(0, len(flat) - 1, min(_KEPT, len(flat))).long()
            self.seen.append(flat[place].cpu())

    @torch.no_grad()
    def set_step(self) -> None:
        """Begin with the step that the observed values ask for, and forget them."""
        count, total, squares = self.sums.tolist()
        mean = total / count
        deviation = math.sqrt(max(squares / count - mean * mean, 0.0))
        spread = _SPREAD_SYMMETRIC if self.offset is None else _SPREAD_SILU
        step = (mean + spread * deviation) / self.high
        if self.method == "static-min-max" or step <= 0:
            step = self.reach / self.high
        elif self.searches:
            step = self._best(torch.cat(self.seen))
        assert not isinstance(self.source, TableStep)
        self.source.start(max(step, SMALLEST))
        self.seen, self.sums, self.reach = [], torch.zeros_like(self.sums), 0.0

    def _best(self, values: torch.Tensor) -> float:
        largest = self.reach / self.high
        steps = [largest * i / _CANDIDATES for i in range(1, _CANDIDATES + 1)]
        errors = [
            float((self.quantize(values, torch.tensor(s)) - values).square().mean()) for s in steps
        ]
        return steps[min(range(_CANDIDATES), key=errors.__getitem__)]


class WeightStep(nn.Module):
    """The learned step of a layer's weights.

    Args:
        config: Bits, granularity and start.
        weight: The weights, output channels first.
    """

    fixed: torch.Tensor | None

    def __init__(self, config: TDQConfig, weight: torch.Tensor) -> None:
        super().__init__()
        self.low, self.high = levels(config.weight_bits, silu=False)
        rows = weight.detach().flatten(1)
        if config.weight_granularity == "per-tensor":
            rows = rows.reshape(1, -1)
        step = (rows.abs().amax(dim=1) / self.high).clamp(min=SMALLEST)
        if config.weight_start == "mse":
            step = self._best(rows, step)
        self.step = nn.Parameter(step if config.weight_granularity == "per-channel" else step[0])
        self.factor = 1 / math.sqrt((2**config.weight_bits - 1) * rows.shape[1])
        self.register_buffer("fixed", None, persistent=False)

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        """The weights on their grid."""
        if self.fixed is not None:
            return self.fixed
        scaled = self.step * self.factor
        step = (scaled + (self.step - scaled).detach()).clamp(min=SMALLEST)
        return on_learned_grid(weight, self._grid(step), step)

    def _grid(self, step: torch.Tensor) -> Grid:
        return Grid(step, torch.zeros_like(step, dtype=torch.int32), self.low, self.high, 0)

    def _best(self, rows: torch.Tensor, largest: torch.Tensor) -> torch.Tensor:
        best, least = largest, torch.full_like(largest, math.inf)
        for i in range(20, _CANDIDATES + 1):
            step = largest * i / _CANDIDATES
            error = (on_learned_grid(rows, self._grid(step), step) - rows).square().mean(dim=1)
            best = torch.where(error < least, step, best)
            least = torch.minimum(error, least)
        return best


class TDQConv2d(nn.Conv2d):
    """A convolution with quantized input and weights."""

    input_quantizer: InputQuantizer
    weight_step: WeightStep

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """As the convolution, ``(N, C, H, W)``."""
        x = self.input_quantizer(x)
        found: torch.Tensor = self._conv_forward(x, _weight_of(self), self.bias)
        return found


class TDQLinear(nn.Linear):
    """A linear layer with quantized input and weights."""

    input_quantizer: InputQuantizer
    weight_step: WeightStep

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """As the linear layer, ``(N, …, features)``."""
        return nn.functional.linear(self.input_quantizer(x), _weight_of(self), self.bias)


TDQLayer = TDQConv2d | TDQLinear


def _weight_of(layer: TDQLayer) -> torch.Tensor:
    """The weights that the layer multiplies with: their grid values where it quantizes."""
    if layer.input_quantizer.mode != "quantize":
        return layer.weight
    found: torch.Tensor = layer.weight_step(layer.weight)
    return found
