"""What quantization did to a model: error per layer, agreement, size."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import fx, nn

from fedzda.compression.graph import Watch, weighted
from fedzda.compression.images import batches
from fedzda.compression.layers import QuantizedLayer

_BATCH = 64
_FLOAT_BYTES = 4


class LayerRow(NamedTuple):
    """One quantized layer beside its float form."""

    name: str
    bits: int
    """Of the weights."""
    weights: int
    """Number of weights."""
    weight_sqnr_db: float
    """Signal to quantization noise of the weights; infinite if exact."""
    output_sqnr_db: float
    """Signal to noise of the output, noise of all layers before included."""


class SizeBytes(NamedTuple):
    """Parameters in bytes, without file headers."""

    float32: int
    """All parameters and statistics of the float model as it was given."""
    packed: int
    """Weights at their bit width; a float32 scale per range and an int32 bias per channel."""
    stored: int
    """The same with one byte per weight, as int8 kernels and the exported file have them."""


@dataclass(frozen=True)
class Report:
    """Figures on given images.

    Attributes:
        layers: One row per quantized layer.
        agreement: Share of images, or of pixels, to which both models give the same class.
        logits_sqnr_db: Signal to noise of the logits.
        size: Bytes.
    """

    layers: list[LayerRow]
    agreement: float
    logits_sqnr_db: float
    size: SizeBytes


@dataclass
class _Power:
    """Sums of squares of a signal and of the noise on it."""

    signal: float = 0.0
    noise: float = 0.0

    def add(self, signal: torch.Tensor, noisy: torch.Tensor) -> None:
        self.signal += float(signal.double().square().sum())
        self.noise += float((noisy - signal).double().square().sum())

    def db(self) -> float:
        if self.noise == 0:
            return math.inf
        return 10 * math.log10(self.signal / self.noise) if self.signal else -math.inf


@dataclass
class _Meeting:
    """Compares what the two models compute in the layers of one name, batch by batch."""

    reference: dict[str, list[torch.Tensor]] = field(default_factory=dict)
    """Outputs in the order of the calls: a layer may serve several places."""
    power: dict[str, _Power] = field(default_factory=dict)

    def keep(self, name: str, _x: torch.Tensor, y: torch.Tensor) -> None:
        self.reference.setdefault(name, []).append(y)

    def compare(self, name: str, _x: torch.Tensor, y: torch.Tensor) -> None:
        self.power.setdefault(name, _Power()).add(self.reference[name].pop(0), y)


@torch.no_grad()
def compare(
    model: fx.GraphModule,
    reference: fx.GraphModule,
    original: nn.Module,
    images_NCHW: torch.Tensor,
) -> Report:
    """Run both models on normalised images.

    Args:
        model: The quantized model.
        reference: The float graph it was prepared from.
        original: The float model before folding; its size is the float size.
        images_NCHW: Normalised images.
    """
    names = [name for name, _ in weighted(model, QuantizedLayer)]
    meeting, logits, agreed = _Meeting(), _Power(), 0.0
    device = next(model.parameters()).device
    with (
        Watch(reference, names, meeting.keep),
        Watch(model, names, meeting.compare),
    ):
        for batch in batches(images_NCHW, _BATCH, device):
            expected, found = reference(batch), model(batch)
            logits.add(expected, found)
            agreed += len(batch) * float((expected.argmax(1) == found.argmax(1)).float().mean())
    rows = [_row(name, model, reference, meeting.power[name]) for name in names]
    return Report(rows, agreed / len(images_NCHW), logits.db(), size_bytes(model, original))


def _row(name: str, model: fx.GraphModule, reference: fx.GraphModule, output: _Power) -> LayerRow:
    layer, before = model.get_submodule(name), reference.get_submodule(name)
    assert isinstance(layer, QuantizedLayer)
    assert isinstance(before.weight, torch.Tensor)
    own = _Power()
    own.add(before.weight, layer.quantizer(layer.layer.weight))
    return LayerRow(name, layer.quantizer.bits, before.weight.numel(), own.db(), output.db())


def size_bytes(model: fx.GraphModule, original: nn.Module) -> SizeBytes:
    """Size of the parameters before and after."""
    values = [*original.parameters(), *original.buffers()]
    float32 = sum(v.numel() * _FLOAT_BYTES for v in values if v.is_floating_point())
    bits = weights = rest = 0
    counted: set[int] = set()
    for _, layer in weighted(model, QuantizedLayer):
        assert isinstance(layer, QuantizedLayer)
        weight, bias = layer.layer.weight, layer.layer.bias
        bits += weight.numel() * layer.quantizer.bits
        weights += weight.numel()
        ranges = weight.shape[0] if layer.quantizer.config.per_channel else 1
        rest += _FLOAT_BYTES * (ranges + (0 if bias is None else bias.numel()))
        counted |= {id(p) for p in layer.parameters()}
    others = [p for p in [*model.parameters()] if id(p) not in counted]
    rest += sum(_FLOAT_BYTES * p.numel() for p in others)
    return SizeBytes(float32, math.ceil(bits / 8) + rest, weights + rest)
