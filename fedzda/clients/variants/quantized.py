"""Few bits, simulated: weights and inputs of convolutions and linear layers on integer grids.

The quantizers are those of :mod:`fedzda.compression.quantizers` (kind ``jacob``, Jacob et al.,
CVPR 2018, arXiv 1712.05877): weights symmetric per output channel with the range of the weights at
every step, inputs per tensor with a range from the client's own samples. The gradient passes
straight through. What is trained, sent and averaged are the float weights. Biases and
normalisation stay float; the multiply-adds are those of the full model.
"""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from fedzda.base import Cost, ImageSpec, Turn, UserError
from fedzda.clients.variants.config import QuantizedConfig
from fedzda.clients.variants.full import Form
from fedzda.compression.config import ActivationConfig, WeightConfig
from fedzda.compression.layers import ActivationQuantizer, WeightQuantizer

_LAYERS = (nn.Conv2d, nn.Linear)


class Quantized(Form):
    """The global model with few bits.

    Args:
        config: Bits.
        model: The architecture; not changed.
        image: The images of the run.

    Raises:
        UserError: The model has no layer to quantize, or one with a forward of its own.
    """

    Config = QuantizedConfig
    config: QuantizedConfig
    personal = True

    def __init__(self, config: QuantizedConfig, model: nn.Module, image: ImageSpec) -> None:
        super().__init__(config, model, image)
        layers = {n: m for n, m in model.named_modules() if isinstance(m, _LAYERS)}
        if not layers:
            raise UserError(
                "variant 'quantized' needs a convolution or a linear layer, and the model has "
                "none. Choose variant 'full'."
            )
        odd = [f"'{name}' ({type(m).__name__})" for name, m in layers.items() if not _plain(m)]
        if odd:
            raise UserError(
                "variant 'quantized' knows torch's own convolutions and linear layers, and the "
                f"model has layers that work in another way: {', '.join(odd)}. Choose variant "
                "'full', or a model without them."
            )

    def build(self, model: nn.Module, turn: Turn) -> nn.Module:
        """See :class:`fedzda.base.Variant`; ranges of inputs are still to be set."""
        made = copy.deepcopy(model)
        for layer in [module for module in made.modules() if isinstance(module, _LAYERS)]:
            _quantize(layer, self.config)
        return made

    @torch.no_grad()
    def calibrate(self, device_model: nn.Module, images_NCHW: torch.Tensor) -> None:
        """See :class:`fedzda.base.Variant`: set the ranges of inputs."""
        readers = [_reader(module) for module in device_model.modules()]
        found = [reader for reader in readers if reader is not None]
        was_training = device_model.training
        for reader in found:
            reader.observing, reader.enabled = True, False
        device_model.eval()(images_NCHW[: self.config.images])
        for reader in found:
            reader.observing, reader.enabled = False, True
            reader.set_range()
        device_model.train(was_training)

    def deploy(
        self, device_model: nn.Module, images_NCHW: torch.Tensor | None, turn: Turn
    ) -> nn.Module:
        """See :class:`fedzda.base.Variant`."""
        assert images_NCHW is not None
        self.calibrate(device_model, images_NCHW)
        return device_model.eval()

    def cost(self) -> Cost:
        """See :class:`fedzda.base.Variant`: the weights of layers have ``weights`` bits."""
        found = super().cost()
        layers = [module for module in self.template.modules() if isinstance(module, _LAYERS)]
        values = sum(layer.weight.numel() for layer in layers)
        size = sum(layer.weight.numel() * layer.weight.element_size() for layer in layers)
        return replace(found, bytes=found.bytes - size + -(-values * self.config.weights // 8))


def _plain(layer: nn.Module) -> bool:
    """Whether a layer computes what torch's own does with its weight, which is a parameter."""
    forwards = [kind.forward for kind in _LAYERS if isinstance(layer, kind)]
    return type(layer).forward in forwards and "weight" in layer._parameters


def _quantize(layer: nn.Module, config: QuantizedConfig) -> None:
    """Let a layer work with few bits; its parameters keep their names."""
    assert isinstance(layer, _LAYERS)
    weights, inputs = WeightConfig(bits=config.weights), ActivationConfig(bits=config.activations)
    write = WeightQuantizer(weights, "jacob", config.weights, layer.weight)
    read = ActivationQuantizer(inputs, "jacob", config.activations, layer.weight.shape[1])
    read.to(layer.weight.device)
    own: Any = layer
    own.__dict__["quantizers"] = (write, read)  # no part of the model's arrays
    own.__class__ = _QuantizedConv2d if isinstance(layer, nn.Conv2d) else _QuantizedLinear


def _reader(module: nn.Module) -> ActivationQuantizer | None:
    found = module.__dict__.get("quantizers")
    return found[1] if found else None


class _QuantizedConv2d(nn.Conv2d):
    """A convolution with the quantizers that :func:`_quantize` gave it."""

    def forward(self, x_NCHW: torch.Tensor) -> torch.Tensor:
        """As ``nn.Conv2d``."""
        write, read = self.__dict__["quantizers"]
        out: torch.Tensor = self._conv_forward(read(x_NCHW), write(self.weight), self.bias)
        return out


class _QuantizedLinear(nn.Linear):
    """A linear layer with the quantizers that :func:`_quantize` gave it."""

    def forward(self, x_NF: torch.Tensor) -> torch.Tensor:
        """As ``nn.Linear``."""
        write, read = self.__dict__["quantizers"]
        out: torch.Tensor = nn.functional.linear(read(x_NF), write(self.weight), self.bias)
        return out
