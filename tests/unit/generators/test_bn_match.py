import copy
import math

import pytest
import torch
from torch import nn
from torch.distributions import Normal, kl_divergence

from fedzda.base import UserError
from fedzda.generators.bn_match import BNMatch
from fedzda.generators.config import BNMatchConfig

KINDS = ["kl_gen_bn", "kl_bn_gen", "l2norm", "mse", "std_mse"]


def layer(mean, var):
    norm = nn.BatchNorm1d(len(mean)).double().eval()
    norm.running_mean.copy_(torch.tensor(mean))
    norm.running_var.copy_(torch.tensor(var))
    return norm


def batch(mean, var):
    """Two samples per channel with exactly this mean and biased variance."""
    mean, std = torch.tensor(mean).double(), torch.tensor(var).double().sqrt()
    return torch.stack([mean - std, mean + std])


def measure(model, x, **options):
    with BNMatch(model, BNMatchConfig(eps=0.0, **options)) as match:
        model(x)
        return match.loss().item()


@pytest.mark.parametrize(
    ("kind", "one", "two", "reduction"),
    [
        ("kl_gen_bn", 0.653426, 0.75, "sum"),
        ("kl_bn_gen", 0.346574, 0.50, "sum"),
        ("l2norm", 2.0, 2.118034, "sum"),
        ("mse", 2.0, 1.125, "mean"),
        ("std_mse", 1.171573, 1.257359, "sum"),
    ],
)
def test_golden_values(kind, one, two, reduction):
    found = measure(layer([0.0], [1.0]), batch([1.0], [2.0]), distance=kind, reduction=reduction)
    assert found == pytest.approx(one, abs=1e-6)
    model, x = layer([0.0, 0.0], [1.0, 1.0]), batch([1.0, 0.0], [2.0, 0.5])
    assert measure(model, x, distance=kind, reduction=reduction) == pytest.approx(two, abs=1e-6)


def test_kl_directions_against_torch_distributions():
    generated, stored = Normal(0.3, math.sqrt(2.5)), Normal(-0.4, math.sqrt(0.7))
    model, x = layer([-0.4], [0.7]), batch([0.3], [2.5])
    assert measure(model, x, distance="kl_gen_bn") == pytest.approx(
        kl_divergence(generated, stored).item(), rel=1e-5
    )
    assert measure(model, x, distance="kl_bn_gen") == pytest.approx(
        kl_divergence(stored, generated).item(), rel=1e-5
    )


@pytest.mark.parametrize("kind", ["kl_gen_bn", "kl_bn_gen", "mse", "std_mse"])
def test_equal_statistics_are_a_minimum(kind):
    x = batch([1.0, -2.0], [2.0, 0.5]).requires_grad_()
    model = layer([1.0, -2.0], [2.0, 0.5])
    with BNMatch(model, BNMatchConfig(distance=kind, eps=0.0)) as match:
        model(x)
        match.loss().backward()
        assert match.loss().item() == pytest.approx(0.0, abs=1e-12)
    torch.testing.assert_close(x.grad, torch.zeros_like(x))


@pytest.mark.parametrize(
    ("reduction", "kind", "expected"),
    [
        # Distances mse per channel: 2 in the first layer, (1, 3) in the second.
        ("sum", "mse", 6.0),
        ("mean", "mse", 2.0),
        ("pooled", "mse", 2.0),
        # Norms: 2 in the first layer, sqrt(2) + sqrt(2) in the second.
        ("sum", "l2norm", 2 + 2 * math.sqrt(2)),
        ("mean", "l2norm", 1 + math.sqrt(2)),
        ("pooled", "l2norm", (2 + 2 * math.sqrt(2)) / 3),
    ],
)
def test_reductions_over_two_layers(reduction, kind, expected):
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = layer([0.0], [1.0]), layer([0.0, 0.0], [1.0, 1.0])

        def forward(self, pair):
            return self.first(pair[0]), self.second(pair[1])

    second = batch([1.0, math.sqrt(2)], [1.0, 2.0])
    if kind == "l2norm":
        second = batch([1.0, 1.0], [2.0, 2.0])
    found = measure(Two(), (batch([1.0], [2.0]), second), distance=kind, reduction=reduction)
    assert found == pytest.approx(expected)


def test_first_layer_weight_and_layer_losses():
    model = nn.Sequential(layer([0.0], [1.0]), layer([0.0], [1.0]))
    x = batch([1.0], [2.0])
    with BNMatch(model, BNMatchConfig(distance="mse", eps=0.0, first_layer_weight=10.0)) as match:
        model(x)
        first, second = match.layer_losses()
        assert match.loss().item() == pytest.approx((10 * first + second) / 2)
    assert first == pytest.approx(2.0)


def test_eps_is_added_to_both_variances():
    model, x = layer([0.0], [0.0]), batch([0.0], [0.0])
    with BNMatch(model, BNMatchConfig(eps=1e-3)) as match:
        model(x)
        assert match.loss().item() == 0.0


def test_images_use_all_positions_and_only_the_last_batch():
    model = nn.BatchNorm2d(3).eval()
    x_NCHW = torch.randn(4, 3, 5, 5, generator=torch.Generator().manual_seed(0))
    with BNMatch(model, BNMatchConfig(distance="mse", reduction="sum", eps=0.0)) as match:
        model(10 * x_NCHW)
        model(x_NCHW)
        channels = x_NCHW.transpose(0, 1).flatten(1)
        expected = channels.mean(1) ** 2 + (channels.var(1, correction=0) - 1) ** 2
        torch.testing.assert_close(match.loss(), expected.sum())


def test_statistics_are_float32_under_autocast():
    model = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2)).eval()
    with BNMatch(model) as match, torch.autocast("cpu", torch.bfloat16):
        model(torch.rand(2, 1, 3, 3))
        assert match.loss().dtype == torch.float32


def test_model_is_left_as_it_was():
    model = nn.Sequential(nn.BatchNorm1d(2)).eval()
    before = copy.deepcopy(model.state_dict())
    with BNMatch(model) as match:
        model(torch.randn(3, 2))
        match.loss()
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert not model._forward_pre_hooks
    assert not model[0]._forward_pre_hooks


@pytest.mark.parametrize(
    "model",
    [
        nn.Sequential(nn.Linear(2, 2), nn.GroupNorm(1, 2)),
        nn.BatchNorm1d(2, track_running_stats=False),
    ],
)
def test_a_model_without_running_statistics_is_refused(model):
    with pytest.raises(UserError, match=r"no BatchNorm layer with running statistics.*norm: batch"):
        BNMatch(model)


def test_loss_before_a_forward_pass_says_so():
    with (
        BNMatch(nn.BatchNorm1d(2).eval()) as match,
        pytest.raises(RuntimeError, match="call the model"),
    ):
        match.loss()


@pytest.mark.parametrize("kind", KINDS)
def test_gradient_reaches_the_images(kind):
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2)).eval().requires_grad_(False)
    x_NCHW = torch.rand(4, 1, 6, 6).requires_grad_()
    with BNMatch(model, BNMatchConfig(distance=kind)) as match:
        model(x_NCHW)
        match.loss().backward()
    assert x_NCHW.grad.abs().sum() > 0


class Helped(nn.Module):
    """An auxiliary head that works in training only."""

    def __init__(self):
        super().__init__()
        self.helper, self.norm = nn.BatchNorm1d(3), nn.BatchNorm1d(2)

    def forward(self, x):
        return self.norm(x)


def test_layers_that_the_model_does_not_use_are_left_out():
    model, x = Helped().eval(), torch.randn(8, 2)
    for reduction in ("mean", "sum", "pooled"):
        config = BNMatchConfig(reduction=reduction)
        with BNMatch(model, config) as match, BNMatch(model.norm, config) as alone:
            for _ in range(2):
                model(x)
                assert match.loss() == alone.loss()
            assert match.layer_losses() == alone.layer_losses()
