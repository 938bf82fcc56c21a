import pytest
import torch

from fedzda.base import UserError, torch_rng
from fedzda.vision.restoration.config import DnCNNConfig
from fedzda.vision.restoration.losses import charbonnier, l1, psnr_loss
from fedzda.vision.restoration.networks import build
from fedzda.vision.restoration.training import TrainingConfig, fit

CONFIG = TrainingConfig(steps=30, lr=5e-3, checkpoint_every=10)


def network(depth=3):
    torch.manual_seed(0)
    return build(DnCNNConfig(depth=depth, channels=8), 1)


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
