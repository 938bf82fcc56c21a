import math

import pytest
import torch
from torch import nn

from fedzda.base import ImageSpec, UserError, torch_rng
from fedzda.clients.tasks.cameras import GaussianSensor, RawSensor
from fedzda.clients.tasks.denoising import Denoising
from fedzda.clients.tasks.restoration_config import (
    CameraNoiseConfig,
    DenoisingConfig,
    GaussianNoiseConfig,
)
from fedzda.platform.data.federation import CLIENT
from fedzda.vision.metrics.ssim import ssim
from fedzda.vision.restoration.config import DnCNNConfig, MWRCANetConfig
from fedzda.vision.restoration.networks import build

IMAGE = ImageSpec((3, 16, 16), 1, (0.4,) * 3, (0.2,) * 3)
SMALL = {"patch": 16}


def make(image=IMAGE, **options):
    return Denoising(DenoisingConfig(**{**SMALL, **options}), image)


def pairs(*errors, side=16):
    """Clean images of 8-bit grey 100 whose noisy form is brighter by ``errors`` of 255."""
    clean = torch.full((len(errors), 3, side, side), 100, dtype=torch.uint8)
    noisy = clean.float() / 255 + torch.tensor(errors).view(-1, 1, 1, 1) / 255
    return {
        "image": IMAGE.normalize(noisy),
        "clean": clean,
        "label": torch.zeros(len(errors), dtype=torch.int64),
        CLIENT: torch.arange(len(errors)),
    }


def photographs(count=3, side=16):
    rng = torch.Generator().manual_seed(0)
    return {
        "image": IMAGE.normalize(torch.rand(count, 3, side, side, generator=rng)),
        "label": torch.zeros(count, dtype=torch.int64),
        CLIENT: torch.arange(count),
    }


class Doubling(nn.Module):
    """Its only weight is learned."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(2.0))

    def forward(self, x):
        return x * self.weight


def test_metrics_by_hand():
    """Errors of 1/255 and of 10/255: 48.13 and 28.13 dB."""
    task = make()
    data = pairs(1, 10)
    statistics = task.statistics(task.outputs(nn.Identity(), data), data)
    assert statistics["squared_error"].item() == pytest.approx(768 * 101 / 255**2, rel=1e-4)
    assert statistics["pixels"].item() == 2 * 768
    found = task.metrics(statistics)
    assert found["psnr"] == pytest.approx((48.1308 + 28.1308) / 2, abs=1e-3)
    assert found["pooled_psnr"] == pytest.approx(-10 * math.log10(50.5 / 255**2), abs=1e-3)
    assert found["loss"] == pytest.approx(5.5 / 255, abs=1e-6)
    clean, shifted = torch.full((1, 3, 16, 16), 100 / 255), torch.full((1, 3, 16, 16), 110 / 255)
    similarity = (1 + float(ssim(shifted, clean)[0])) / 2
    assert found["ssim"] == pytest.approx(similarity, abs=1e-3)


def test_equal_images_have_100_dB_and_statistics_add_up():
    task = make()
    data = pairs(0, 1, 10)
    outputs = task.outputs(nn.Identity(), data)
    assert task.metrics(task.statistics(outputs, data))["psnr"] <= 100
    assert float(outputs["psnr"][0]) == 100.0
    parts = task.segment_statistics(outputs, data, torch.tensor([0, 2, 2]), 3)
    whole = task.statistics(outputs, data)
    for name, value in parts.items():
        assert float(value.sum(0)) == pytest.approx(float(whole[name]))
        assert float(value[1]) == 0


@pytest.mark.parametrize(
    ("loss", "expected"),
    [("l1", 4 / 255), ("mse", (4 / 255) ** 2), ("charbonnier", math.hypot(4 / 255, 1e-3))],
)
def test_losses_by_hand(loss, expected):
    task = make(loss=loss)
    batch = task.augment(pairs(4, 4), torch.Generator().manual_seed(0))
    assert task.loss(nn.Identity(), batch).item() == pytest.approx(expected, rel=1e-4)
    assert task.loss(nn.Identity(), pairs(4)).item() == pytest.approx(expected, rel=1e-4)


def test_patches_are_the_same_place_of_both_and_fresh():
    task = make(patch=8, crops=3)
    data = photographs(2)
    pixels = task.pixels(data)
    data["clean"] = (pixels * 255).round().byte()
    rng = torch.Generator().manual_seed(0)
    first, second = (task.augment(data, rng) for _ in range(2))
    assert first["given"].shape == first["truth"].shape == (6, 3, 8, 8)
    assert float((first["given"] - first["truth"]).abs().max()) < 0.003
    assert not torch.equal(first["given"], second["given"])


def test_noise_depends_on_image_and_client_not_on_the_batch():
    task = make(noise={"name": "gaussian", "sigma": [5, 50]})
    data = photographs()
    whole = task.outputs(nn.Identity(), data)
    alone = [{name: column[i : i + 1] for name, column in data.items()} for i in range(3)]
    single = torch.cat([task.outputs(nn.Identity(), one)["psnr"] for one in alone])
    assert torch.equal(whole["psnr"], single)
    other = task.outputs(nn.Identity(), {**data, CLIENT: torch.tensor([2, 1, 0])})
    assert not torch.equal(whole["psnr"][0], other["psnr"][0])
    assert torch.equal(whole["psnr"][1], other["psnr"][1])


def test_training_noise_has_the_sigma_of_the_camera():
    task = make(noise={"name": "gaussian", "sigma": [5, 50]}, crops=50)
    batch = task.augment(photographs(), torch.Generator().manual_seed(0))
    assert isinstance(task.sensor, GaussianSensor)
    spread = (batch["given"] - batch["truth"]).view(3, -1).std(dim=1) * 255
    expected = [task.sensor.sigma(client) for client in range(3)]
    assert spread.tolist() == pytest.approx(expected, rel=0.05)
    assert len(set(expected)) == 3


def test_cameras_differ_by_client_and_hardly_change_without_noise():
    sensor = RawSensor(CameraNoiseConfig(shot=[1e-4, 1e-2]), 0)
    assert [sensor.pattern(c) for c in range(5)] == ["rggb", "bggr", "grbg", "gbrg", "rggb"]
    shots = [sensor.noise(client)[0] for client in range(6)]
    assert len(set(shots)) == 6
    assert all(1e-4 <= shot <= 1e-2 for shot in shots)
    ramp = torch.linspace(0.2, 0.8, 32).expand(1, 3, 32, 32).contiguous()
    noisy, truth = sensor.shoot(ramp, 1, torch_rng(0, "x"))
    assert float((truth - ramp)[:, :, 2:-2, 2:-2].abs().max()) < 0.02
    assert 0.01 < float((noisy - truth).std()) < 0.3
    again, _ = sensor.shoot(ramp, 1, torch_rng(0, "x"))
    assert torch.equal(noisy, again)
    assert not torch.equal(noisy, sensor.shoot(ramp, 2, torch_rng(0, "x"))[0])


def test_odd_images_lose_a_row_for_their_mosaic():
    sensor = RawSensor(CameraNoiseConfig(), 0)
    noisy, truth = sensor.shoot(torch.full((1, 3, 13, 12), 0.5), 0, torch_rng(0, "x"))
    assert noisy.shape == truth.shape == (1, 3, 12, 12)


def test_one_step_lowers_the_loss():
    task = make(noise={"name": "gaussian", "sigma": 10})
    model = Doubling()
    batch = task.augment(photographs(), torch.Generator().manual_seed(0))
    before = task.loss(model, batch)
    before.backward()
    with torch.no_grad():
        model.weight -= 0.1 * model.weight.grad
    assert task.loss(model, batch).detach() < before.detach()


def test_test_crop_measures_the_middle():
    task = make(image=ImageSpec((3, 32, 32), 1, (0.4,) * 3, (0.2,) * 3), test_crop=12)
    data = pairs(4, side=32)
    data["image"][:, :, :8] = 9.0
    given, truth = task.example(data, 0)
    assert given.shape == truth.shape == (1, 3, 12, 12)
    assert float((given - truth).abs().max()) == pytest.approx(4 / 255, abs=1e-5)


def test_networks_that_need_multiples_see_whole_images():
    image = ImageSpec((3, 20, 20), 1, (0.4,) * 3, (0.2,) * 3)
    task, model = make(image=image), build(MWRCANetConfig(), 3)
    task.validate(model, image)
    data = pairs(3, side=20)
    with torch.no_grad():
        assert task.outputs(model.eval(), data)["pixels"].item() == 3 * 400


def test_the_sheet_has_three_titled_rows():
    task = make()
    picture = task.sheet({"full": nn.Identity()}, pairs(1, 10), ["image"])
    assert picture.shape == (3, 3 * (18 + 164), 2 * 164)
    forms = {"full": nn.Identity(), "int8": nn.Identity()}
    assert task.sheet(forms, pairs(1, 10), ["image"]).shape == (3, 4 * (18 + 164), 2 * 164)
    assert 0 <= float(picture.min()) <= float(picture.max()) <= 1


@pytest.mark.parametrize(
    ("image", "options", "model", "sentence"),
    [
        ((3, 1, 1), {}, nn.Identity(), r"1x1 pixels .* task.patch: 16 needs 16"),
        ((3, 16, 9), {"patch": 8}, nn.Identity(), "16x9 pixels .* needs 11"),
        ((3, 16, 16), {"patch": 24}, nn.Identity(), "task.patch: 24 needs 24"),
        ((1, 16, 16), {"noise": {"name": "camera"}}, nn.Identity(), "data.channels to 3"),
        ((3, 16, 16), {}, nn.Conv2d(3, 1, 3, padding=1), r"\(2, 3, 16, 16\) \(got shape"),
        ((3, 16, 16), {}, nn.Linear(7, 7), "the model fails on images of shape"),
        ((3, 16, 16), {}, build(DnCNNConfig(noise_map=True), 3), "without model.noise_map"),
    ],
)
def test_what_does_not_fit_is_said(image, options, model, sentence):
    channels = image[0]
    spec = ImageSpec(image, 1, (0.4,) * channels, (0.2,) * channels)
    task = make(image=spec, **options)
    with pytest.raises(UserError, match=sentence):
        task.validate(model, spec)


@pytest.mark.parametrize("given", [[5, 2], [-1, 2]])
def test_ranges_ascend(given):
    with pytest.raises(ValueError, match="ascending order"):
        GaussianNoiseConfig(sigma=given)
    with pytest.raises(ValueError, match="ascending order"):
        CameraNoiseConfig(shot=given)


def test_what_a_form_is_made_for():
    """Pixels in [0, 1] of the middle; a training step sees one patch of 16 of them per image."""
    task = make(test_crop=12)
    given = task.given(IMAGE)
    assert given.shape == (3, 12, 12)
    assert (given.mean, given.std) == ((0.0,) * 3, (1.0,) * 3)
    data = pairs(1, 10)
    shown = task.shown(data)
    assert shown.shape == (2, 3, 12, 12)
    assert torch.equal(shown[1:], task.example(data, 1)[0])
    assert task.passes(IMAGE) == pytest.approx(16 * 16 / (12 * 12))
