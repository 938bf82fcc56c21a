"""Few bits: the grid that weights and inputs lie on, gradients, and what stays float."""

import pytest
import torch
from torch import nn

from fedzda.base import ImageSpec, Turn, UserError
from fedzda.clients.models.lenet_bn import LeNetBN
from fedzda.clients.variants import int8
from fedzda.clients.variants.config import Int8Config, QuantizedConfig
from fedzda.clients.variants.int8 import Int8
from fedzda.clients.variants.quantized import Quantized
from fedzda.compression.quantizers import affine_grid, fake_quantize

DIGIT = ImageSpec((1, 8, 8), 10, (0.3,), (0.3,))
TURN = Turn(0, 0, 1, training=True)


def made(**settings):
    torch.manual_seed(0)
    model = LeNetBN(1, 10, (8, 8))
    return model, Quantized(QuantizedConfig(**settings), model, DIGIT)


def test_one_layer_by_hand():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    form = Quantized(QuantizedConfig(weights=3, activations=4), model, DIGIT)
    images = torch.randn(30, 1, 8, 8)
    device = form.deploy(form.build(model, TURN), images, TURN)
    weight, x = model[1].weight.detach(), images.flatten(1)
    largest = weight.abs().amax(1)
    rows = fake_quantize(weight, affine_grid(-largest, largest, 3, symmetric=True, narrow=True))
    inputs = fake_quantize(x, affine_grid(x.min(), x.max(), 4, symmetric=False))
    expected = nn.functional.linear(inputs, rows, model[1].bias)
    torch.testing.assert_close(device(images), expected)
    assert all(len(row.unique()) <= 7 for row in rows)
    assert not torch.allclose(device(images), model(images), atol=1e-3)


def test_names_stay_and_float_weights_are_trained():
    model, form = made()
    device = form.build(model, TURN)
    assert device.state_dict().keys() == model.state_dict().keys()
    images = torch.randn(12, 1, 8, 8)
    form.calibrate(device, images)
    nn.functional.cross_entropy(device.train()(images), torch.arange(12) % 10).backward()
    assert all(
        p.grad is not None and p.grad.abs().sum() > 0 for p in device.classifier.parameters()
    )
    arrays, coverage = form.to_global(device, TURN)
    assert coverage == {}
    assert arrays.keys() == model.state_dict().keys()
    assert type(model.features[0]) is nn.Conv2d


def test_many_bits_are_nearly_the_model():
    model, form = made(weights=8, activations=8)
    images = torch.randn(40, 1, 8, 8)
    device = form.deploy(form.build(model.eval(), TURN), images, TURN)
    assert (device(images) - model(images)).abs().max() < 0.05


def test_costs_count_bits():
    model, form = made(weights=4)
    layers = [m for m in model.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    values = sum(layer.weight.numel() for layer in layers)
    full = sum(v.numel() * v.element_size() for v in model.state_dict().values())
    assert form.cost().bytes == full - 4 * values + values // 2
    assert Int8(Int8Config(), model, DIGIT).cost().bytes == full - 3 * values
    assert form.cost().training_bytes > full


def test_a_model_without_layers_and_a_missing_runtime(monkeypatch):
    class Bare(nn.Module):
        def __init__(self):
            super().__init__()
            self.bias = nn.Parameter(torch.zeros(10))

        def forward(self, x):
            return x.flatten(1)[:, :10] + self.bias

    with pytest.raises(UserError, match="needs a convolution or a linear layer"):
        Quantized(QuantizedConfig(), Bare(), DIGIT)
    monkeypatch.setattr(int8, "_NEEDED", ("no_such_runtime",))
    with pytest.raises(UserError, match=r"needs the package no_such_runtime.*fedzda\[export\]"):
        Int8(Int8Config(), LeNetBN(1, 10, (8, 8)), DIGIT)


class Standardised(nn.Linear):
    def forward(self, x):
        return nn.functional.linear(x, self.weight - self.weight.mean(), self.bias)


@pytest.mark.parametrize(
    "layer", [Standardised(64, 10), nn.utils.parametrizations.weight_norm(nn.Linear(64, 10))]
)
def test_layers_that_work_in_another_way_are_refused(layer):
    with pytest.raises(UserError, match=f"work in another way: '1' .{type(layer).__name__}"):
        Quantized(QuantizedConfig(), nn.Sequential(nn.Flatten(), layer), DIGIT)
