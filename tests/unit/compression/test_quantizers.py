import math

import pytest
import torch

from fedzda.compression.config import ActivationConfig, WeightConfig
from fedzda.compression.layers import ActivationQuantizer, WeightQuantizer
from fedzda.compression.observers import Observer
from fedzda.compression.quantizers import (
    Grid,
    affine_grid,
    fake_quantize,
    lsq,
    lsq_step,
    zeroq_compat,
)

ALL_BITS = range(2, 9)


def tensor(*values):
    return torch.tensor(values)


def test_zeroq_compat_golden_values():
    found = zeroq_compat(tensor(-1.0, -0.5, 0.0, 0.5, 1.0), tensor(-1.0)[0], tensor(1.0)[0], 4)
    expected = tensor(-1.06667, -0.53333, 0.0, 0.53333, 0.93333)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
    found = zeroq_compat(tensor(0.0, 3.0, 6.0, 7.0), tensor(0.0)[0], tensor(6.0)[0], 8)
    torch.testing.assert_close(found, tensor(0.0, 3.01176, 6.0, 6.0), atol=1e-5, rtol=0)
    found = zeroq_compat(tensor(0.0), tensor(0.5)[0], tensor(1.0)[0], 4)
    torch.testing.assert_close(found, tensor(0.5), atol=1e-5, rtol=0)


def test_jacob_golden_values():
    weights = tensor(-0.7, -0.26, 0.12, 0.5)
    grid = affine_grid(weights.min(), weights.max(), 4, symmetric=True, narrow=True)
    assert grid.scale.item() == pytest.approx(0.1)
    assert grid.levels(weights).tolist() == [-7, -3, 1, 5]
    x = tensor(-1.0, -0.3, 0.0, 0.33, 1.2, 2.0)
    grid = affine_grid(tensor(-0.3)[0], tensor(1.2)[0], 4, symmetric=False)
    assert (grid.scale.item(), grid.zero_point.item()) == (pytest.approx(0.1), 3)
    assert grid.levels(x).tolist() == [0, 0, 3, 6, 15, 15]
    torch.testing.assert_close(fake_quantize(x, grid), grid.values(grid.levels(x)))


def test_rounding_is_half_to_even():
    grid = Grid(torch.tensor(1.0), torch.tensor(0, dtype=torch.int32), -8, 7)
    x = tensor(0.5, 1.5, 2.5, -0.5, -1.5)
    assert grid.levels(x).tolist() == [0, 2, 2, 0, -2]
    assert fake_quantize(x, grid).tolist() == [0, 2, 2, 0, -2]


@pytest.mark.parametrize("bits", ALL_BITS)
@pytest.mark.parametrize("symmetric", [True, False])
def test_jacob_grid(bits, symmetric):
    x = (
        torch.randn(3, 1000, generator=torch.Generator().manual_seed(0))
        + tensor(-3.0, 0.0, 3.0)[:, None]
    )
    for per_channel in (False, True):
        lo, hi = x.aminmax(dim=1) if per_channel else x.aminmax()
        grid = affine_grid(lo, hi, bits, symmetric)
        once = fake_quantize(x, grid)
        assert torch.equal(fake_quantize(once, grid), once)
        for row in once:
            assert len(row.unique()) <= 2**bits
        assert torch.equal(fake_quantize(torch.zeros_like(x), grid), torch.zeros_like(x))
        torch.testing.assert_close(grid.values(grid.levels(x)), once)


@pytest.mark.parametrize("bits", ALL_BITS)
def test_zeroq_compat_grid(bits):
    x = torch.randn(500, generator=torch.Generator().manual_seed(0))
    lo, hi = x.min(), x.max()
    once = zeroq_compat(x, lo, hi, bits)
    assert len(once.unique()) <= 2**bits
    torch.testing.assert_close(zeroq_compat(once, lo, hi, bits), once)


def test_straight_through_gradients():
    x = tensor(-1.0, -0.2, 0.5, 1.1, 2.0).requires_grad_()
    grid = affine_grid(tensor(-0.3)[0], tensor(1.2)[0], 4, symmetric=False)
    fake_quantize(x, grid).sum().backward()
    assert x.grad.tolist() == [0, 1, 1, 1, 0]
    x.grad = None
    zeroq_compat(x, tensor(-0.3)[0], tensor(1.2)[0], 4).sum().backward()
    assert x.grad.tolist() == [1, 1, 1, 1, 1]


def test_lsq_gradients_are_those_of_the_paper():
    # levels -4 .. 3, step 0.5: below, inside (1.3 / 0.5 = 2.6 rounds to 3), above
    x = tensor(-3.0, 0.65, 4.0).requires_grad_()
    step = torch.tensor(0.5, requires_grad=True)
    grid = Grid(torch.tensor(1.0), torch.tensor(0, dtype=torch.int32), -4, 3)
    out = lsq(x, grid, step, values_per_step=3)
    assert out.tolist() == [-2.0, 0.5, 1.5]
    out.sum().backward()
    inside = 1 - 0.65 / 0.5
    assert step.grad.item() == pytest.approx((-4 + inside + 3) / math.sqrt(3 * 3))
    assert x.grad.tolist() == [0, 1, 0]
    assert lsq_step(torch.tensor(0.6), grid).item() == pytest.approx(1.2 / math.sqrt(3))


def test_lsq_with_a_zero_point_and_channels():
    x = torch.randn(4, 3, 5, generator=torch.Generator().manual_seed(0))
    zero_point = torch.tensor([0, 2, 3], dtype=torch.int32)
    step = tensor(0.3, 0.4, 0.5)
    grid = Grid(step, zero_point, 0, 3, axis=1)
    torch.testing.assert_close(lsq(x, grid, step, 5), grid.values(grid.levels(x)))


def observed(config, *batches):
    observer = Observer(config)
    for batch in batches:
        observer.observe(batch)
    return [end.item() for end in observer.range()]


@pytest.mark.parametrize("steps", [1, 2, 10, 100])
def test_moving_average_of_a_constant_is_the_constant(steps):
    batch = tensor(1.0, 1.0)
    found = observed(ActivationConfig(range="ema"), *[batch] * steps)
    assert found == pytest.approx([1.0, 1.0])


def test_ranges():
    first, second = torch.arange(101.0), -torch.arange(101.0) / 2
    assert observed(ActivationConfig(range="min-max"), first, second) == [-50, 100]
    # corrected average with decay 0.5: (0.25 first + 0.5 second) / 0.75
    found = observed(ActivationConfig(range="ema", ema_decay=0.5), first, second)
    assert found == pytest.approx([-50 * 2 / 3, 100 / 3])
    found = observed(ActivationConfig(range="percentile", percentile=90.0), first, second)
    assert found == pytest.approx([(10 - 45) / 2, (90 - 5) / 2])


def test_activation_quantizer_is_off_until_calibrated_and_follows_only_on_demand():
    quantizer = ActivationQuantizer(ActivationConfig(bits=2, range="min-max"), "jacob", 2, 1)
    x = torch.linspace(0, 3, 7)
    assert torch.equal(quantizer(x), x)
    quantizer.observing = True
    quantizer(x)
    quantizer.observing, quantizer.enabled = False, True
    quantizer.set_range()
    assert quantizer(x).unique().tolist() == [0, 1, 2, 3]
    assert quantizer(3 * x).max() == 3
    quantizer.observing = True
    assert quantizer(3 * x).max() == 9


@pytest.mark.parametrize("per_channel", [True, False])
def test_weight_quantizer_follows_the_weights_until_frozen(per_channel):
    weight = torch.randn(3, 4, generator=torch.Generator().manual_seed(0))
    quantizer = WeightQuantizer(WeightConfig(per_channel=per_channel), "jacob", 4, weight)
    torch.testing.assert_close(quantizer(2 * weight), 2 * quantizer(weight))
    grid = quantizer.grid(weight)
    assert grid.scale.shape == ((3,) if per_channel else ())
    quantizer.freeze(grid)
    assert quantizer(2 * weight).abs().max() <= 7 * grid.scale.max() + 1e-6


def test_percentile_of_weights_cuts_outliers():
    weight = torch.linspace(-1, 1, 1001).view(1, -1).clone()
    weight[0, 0] = -100
    config = WeightConfig(range="percentile", percentile=99.0)
    found = WeightQuantizer(config, "jacob", 8, weight)(weight)
    assert found.min().item() == pytest.approx(-0.99, abs=0.01)
