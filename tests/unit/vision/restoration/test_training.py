import math

import pytest
import torch
from torch import nn

from fedzda.base import UserError, torch_rng
from fedzda.vision.restoration.config import DnCNNConfig
from fedzda.vision.restoration.losses import charbonnier, l1, psnr_loss
from fedzda.vision.restoration.networks import build
from fedzda.vision.restoration.training import TrainingConfig, fit

CONFIG = TrainingConfig(steps=30, lr=5e-3, checkpoint_every=10)


def network(depth=3):
    torch.manual_seed(0)
    return build(DnCNNConfig(depth=depth, channels=8, start="he"), 1)


def batch(step):
    rng = torch_rng(0, "batch", step)
    clean = torch.rand(4, 1, 1, 1, generator=rng).expand(4, 1, 12, 12)
    return clean + 0.2 * torch.randn(4, 1, 12, 12, generator=rng), clean


def test_training_goes_on_bit_for_bit(tmp_path):
    straight, halted = network(), network()
    whole = fit(straight, batch, CONFIG)
    part = fit(halted, batch, CONFIG, tmp_path / "a.safetensors", stop_after=13)
    assert part.step == 13
    resumed = network()
    rest = fit(resumed, batch, CONFIG, tmp_path / "a.safetensors")
    assert [point["step"] for point in whole.curve] == [10, 20, 30]
    assert [point["step"] for point in rest.curve] == [10, 13, 20, 30]
    for key, value in straight.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[key]), key
    assert not resumed.training
    assert whole.curve[-1]["loss"] < 0.6 * whole.curve[0]["loss"]
    assert fit(resumed, batch, CONFIG, tmp_path / "a.safetensors").step == 30


def test_report_adds_to_the_curve_that_is_kept(tmp_path):
    made = network()

    def report(progress):
        assert not made.training
        progress.curve[-1]["psnr"] = 30.0 + progress.step

    fit(made, batch, CONFIG, tmp_path / "a.safetensors", report, stop_after=10)
    assert fit(network(), batch, CONFIG, tmp_path / "a.safetensors").curve[0]["psnr"] == 40


def test_other_checkpoints_are_refused(tmp_path):
    path = tmp_path / "a.safetensors"
    fit(network(), batch, CONFIG, path, stop_after=1)
    with pytest.raises(UserError, match="another training configuration"):
        fit(network(), batch, TrainingConfig(steps=30), path)
    with pytest.raises(UserError, match="another network"):
        fit(network(depth=4), batch, CONFIG, path)


def test_a_loss_that_is_not_finite_stops():
    with pytest.raises(FloatingPointError, match="at step 0"):
        fit(network(), lambda step: (torch.full((1, 1, 8, 8), torch.inf),) * 2, CONFIG)


@pytest.mark.parametrize(
    ("loss", "function"), [("l1", l1), ("charbonnier", charbonnier), ("psnr", psnr_loss)]
)
def test_every_loss_trains(loss, function):
    given, truth = batch(0)
    expected = function(network().train()(given), truth).item()
    done = fit(network(), batch, TrainingConfig(steps=1, loss=loss))
    assert [point["loss"] for point in done.curve] == [pytest.approx(expected, rel=1e-7)]


class Scalar(nn.Module):
    """One weight times the input, so that steps can be computed by hand."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(()))

    def forward(self, x):
        return self.weight * x


def test_steps_follow_half_a_cosine():
    seen, made = [], Scalar()

    def step(index):
        seen.append(made.weight.item())
        return torch.ones(1, 1, 2, 2), torch.full((1, 1, 2, 2), 9.0)

    # With a constant gradient of -1 Adam moves by the step size, whatever its decays.
    config = TrainingConfig(steps=8, lr=0.1, last_lr=0.02)
    fit(made, step, config)
    moves = torch.tensor([*seen, made.weight.item()]).diff()
    shares = [0.5 * (1 + math.cos(math.pi * index / 8)) for index in range(8)]
    torch.testing.assert_close(moves, torch.tensor([0.02 + 0.08 * share for share in shares]))


def test_long_gradients_are_shortened_and_short_ones_are_not():
    sizes = [1.0, 100.0]

    def step(index):
        return torch.full((1, 1, 2, 2), sizes[index]), torch.full((1, 1, 2, 2), 1e6)

    def second_move(max_norm):
        made, seen = Scalar(), []
        config = TrainingConfig(steps=2, lr=0.1, last_lr=0.1, max_norm=max_norm)
        fit(made, lambda index: (seen.append(made.weight.item()), step(index))[1], config)
        return made.weight.item() - seen[1]

    # Gradients 1 and 100, shortened to 1 and 1: Adam moves by the step size.
    assert second_move(1.0) == pytest.approx(0.1, rel=1e-4)
    # As they are: means (0.09 + 10) / 0.19 and (0.09 + 1000) / 0.19 of Adam with decays 0.9.
    expected = 0.1 * (10.09 / 0.19) / math.sqrt(1000.09 / 0.19)
    assert second_move(1000.0) == pytest.approx(expected, rel=1e-4)
