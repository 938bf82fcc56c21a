"""The modules that a fake-quantized model is made of: quantizers of activations and of weights, and
a layer that quantizes its own weights."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.modules.conv import _ConvNd

from fedzda.compression.config import ActivationConfig, Kind, WeightConfig
from fedzda.compression.observers import Observer, min_max, percentiles, rows
from fedzda.compression.quantizers import (
    Grid,
    affine_grid,
    fake_quantize,
    lsq,
    lsq_step,
    zeroq_compat,
)


class ActivationQuantizer(nn.Module):
    """Fake-quantizes one tensor of the graph, once :meth:`set_range` was called.

    ``observing`` makes it look at each batch first; ``enabled`` switches the rounding.

    Args:
        config: The range; ``bits`` of the block do not count.
        kind: The quantizer.
        bits: Bit width of this tensor.
        channels: Size of dimension 1, used with ``per_channel``.
    """

    scale: torch.Tensor
    zero_point: torch.Tensor

    def __init__(self, config: ActivationConfig, kind: Kind, bits: int, channels: int) -> None:
        super().__init__()
        self.config, self.kind, self.bits = config, kind, bits
        groups, axis = (channels, 1) if config.per_channel else (1, None)
        self.observer = Observer(config, groups, axis)
        shape = (channels,) if config.per_channel else ()
        self.register_buffer("scale", torch.ones(shape))
        self.register_buffer("zero_point", torch.zeros(shape, dtype=torch.int32))
        self.step = nn.Parameter(torch.ones(shape)) if config.range == "lsq" else None
        self.observing = self.enabled = False

    def grid(self) -> Grid:
        """The grid in use (kind jacob)."""
        signed = self.config.symmetric
        qmin = -(2 ** (self.bits - 1)) if signed else 0
        scale = self.scale if self.step is None else self.step.detach()
        return Grid(scale, self.zero_point, qmin, qmin + 2**self.bits - 1, 1)

    @torch.no_grad()
    def set_range(self) -> None:
        """Take over the range that was observed."""
        grid = affine_grid(*self.observer.range(), self.bits, self.config.symmetric)
        self.scale.copy_(grid.scale)
        self.zero_point.copy_(grid.zero_point)
        if self.step is not None:
            magnitude = self.observer.magnitude
            self.step.copy_(lsq_step(magnitude.view_as(self.step), grid))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """``x`` on the grid, or as it is while not ``enabled``."""
        if self.observing:
            self.observer.observe(x)
            if self.enabled and self.step is None:
                self.set_range()
        if not self.enabled:
            return x
        if self.kind == "zeroq-compat":
            return zeroq_compat(x, *self.observer.range(), self.bits, 1)
        if self.step is not None:
            return lsq(x, self.grid(), self.step, x[0].numel() // self.step.numel())
        return fake_quantize(x, self.grid())


class WeightQuantizer(nn.Module):
    """Fake-quantizes the weights of one layer; output channels are dimension 0.

    The range is that of the weights at each call, until :meth:`freeze`.

    Args:
        config: The range; ``bits`` of the block do not count.
        kind: The quantizer.
        bits: Bit width of this layer.
        weight: The weights; they set the first learned step.
    """

    scale: torch.Tensor | None
    zero_point: torch.Tensor | None

    def __init__(self, config: WeightConfig, kind: Kind, bits: int, weight: torch.Tensor) -> None:
        super().__init__()
        self.config, self.kind, self.bits = config, kind, bits
        self.axis = 0 if config.per_channel else None
        self.register_buffer("scale", None)
        self.register_buffer("zero_point", None)
        self.limits: tuple[int, int] | None = None
        self.step: nn.Parameter | None = None
        if config.range == "lsq":
            magnitude = rows(weight.detach(), self.axis).abs().mean(dim=1)
            first = lsq_step(magnitude, self._affine(weight))
            self.step = nn.Parameter(first[0] if self.axis is None else first)

    def freeze(self, grid: Grid) -> None:
        """Use this grid from now on."""
        self.scale, self.zero_point, self.step = grid.scale, grid.zero_point, None
        self.limits = (grid.qmin, grid.qmax)

    def grid(self, weight: torch.Tensor) -> Grid:
        """The grid in use for ``weight`` (kind jacob)."""
        if self.scale is not None and self.zero_point is not None and self.limits is not None:
            return Grid(self.scale, self.zero_point, *self.limits)
        found = self._affine(weight)
        if self.step is not None:
            return Grid(self.step.detach(), found.zero_point, found.qmin, found.qmax)
        return found

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        """``weight`` on the grid."""
        if self.kind == "zeroq-compat":
            return zeroq_compat(weight, *self._range(weight), self.bits)
        if self.step is not None:
            count = weight.numel() // self.step.numel()
            return lsq(weight, self._affine(weight), self.step, count)
        return fake_quantize(weight, self.grid(weight))

    @torch.no_grad()
    def _range(self, weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        x_GV = rows(weight.detach(), self.axis)
        if self.config.range == "percentile":
            lo, hi = percentiles(x_GV, self.config.percentile)
        else:
            lo, hi = min_max(x_GV)
        return (lo[0], hi[0]) if self.axis is None else (lo, hi)

    def _affine(self, weight: torch.Tensor) -> Grid:
        # a range of largest magnitude never reaches level -2^(k-1); a learned step may
        narrow = self.config.range != "lsq"
        return affine_grid(*self._range(weight), self.bits, self.config.symmetric, narrow)


class QuantizedLayer(nn.Module):
    """A convolution or linear layer that works with quantized weights; the bias stays float.

    Args:
        layer: The float layer; it is kept, and so are its weights.
        quantizer: Quantizer of its weights.
    """

    def __init__(self, layer: _ConvNd | nn.Linear, quantizer: WeightQuantizer) -> None:
        super().__init__()
        self.layer, self.quantizer = layer, quantizer

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The output of the layer with quantized weights."""
        return self.apply_weight(x, self.quantizer(self.layer.weight))

    def apply_weight(self, x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
        """The output of the layer with ``weight`` in place of its own."""
        if isinstance(self.layer, nn.Linear):
            return nn.functional.linear(x, weight, self.layer.bias)
        # the convolution's own function keeps stride, groups and padding mode in one place
        out: torch.Tensor = self.layer._conv_forward(x, weight, self.layer.bias)
        return out

    def grid(self) -> Grid:
        """The grid of the weights (kind jacob)."""
        return self.quantizer.grid(self.layer.weight)
