import math

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import nn

from fedzda.base import ImageSpec, Turn, UserError, torch_rng
from fedzda.clients.tasks.cameras import GaussianSensor, RawSensor
from fedzda.clients.tasks.denoising import Denoising
from fedzda.clients.tasks.restoration_config import (
    CameraNoiseConfig,
    DenoisingConfig,
    GaussianNoiseConfig,
)
from fedzda.clients.variants.config import Int8Config, QuantizedConfig, WidthConfig
from fedzda.clients.variants.costs import measured
from fedzda.platform.data.federation import CLIENT
from fedzda.platform.devices.forms import load_variant
from fedzda.vision.metrics.ssim import ssim
from fedzda.vision.restoration.config import DnCNNConfig, MWRCANetConfig, NAFNetConfig
from fedzda.vision.restoration.networks import build

IMAGE = ImageSpec((3, 16, 16), 1, (0.4,) * 3, (0.2,) * 3)
SMALL = {"patch": 16}
SIGMA_10 = {"name": "gaussian", "sigma": 10}
CAMERA = {"name": "camera"}
WHOLE = {"flips": False}
"""Training patches are the whole test images."""


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
        ((3, 16, 16), {}, nn.Conv2d(3, 3, 3), r"\(got shape \(2, 3, 14, 14\)\)"),
        ((3, 16, 16), {}, nn.Flatten(), r"\(got shape \(2, 768\)\)"),
        ((3, 16, 16), {}, build(DnCNNConfig(noise_map=True), 3), "task.noise_map is false, and"),
        (
            (3, 16, 16),
            {"noise": SIGMA_10, "noise_map": True},
            build(DnCNNConfig(), 3),
            "is true, and",
        ),
        (
            (3, 16, 16),
            {"noise": SIGMA_10, "noise_map": True},
            nn.Identity(),
            r"\(got shape \(2, 6, 16",
        ),
        (
            (3, 16, 16),
            {"noise": SIGMA_10, "noise_map": True},
            nn.Linear(7, 7),
            "with their noise map: ",
        ),
        ((3, 16, 16), {"permutation": 64}, nn.Identity(), "noise of developed colour images"),
        (
            (3, 16, 16),
            {"noise": CAMERA, "test_crop": 11},
            nn.Identity(),
            "test_crop is 11, .* 10 on",
        ),
        (
            (3, 11, 11),
            {"noise": CAMERA, "patch": 8},
            nn.Identity(),
            "have 11x11 .* leaves 10 on each",
        ),
    ],
)
def test_what_does_not_fit_is_said(image, options, model, sentence):
    channels = image[0]
    spec = ImageSpec(image, 1, (0.4,) * channels, (0.2,) * channels)
    task = make(image=spec, **options)
    with pytest.raises(UserError, match=sentence):
        task.validate(model, spec)


@pytest.mark.parametrize("given", [[5, 2], [-1, 2], [1, 300]])
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


def test_a_form_behind_a_mosaic_is_made_for_even_sides():
    """A camera leaves out the last row and column of odd images."""
    image = ImageSpec((3, 17, 33), 1, (0.4,) * 3, (0.2,) * 3)
    task = make(image=image, noise=CAMERA)
    data = {name: column[:1] for name, column in photographs(side=33).items()}
    data["image"] = data["image"][:, :, :17]
    assert task.given(image).shape == task.shown(data).shape[1:] == (3, 16, 32)


# ---------------------------------------------------------------------------------------------
# Noise map


class Half(nn.Module):
    """Leaves the image of an image with its noise map."""

    def forward(self, x):
        return x[:, :3]


@pytest.mark.parametrize("noise", [SIGMA_10, CAMERA], ids=lambda n: n["name"])
def test_the_map_stands_behind_the_same_noisy_image(noise):
    plain, mapped = make(noise=noise), make(noise=noise, noise_map=True)
    data = photographs()
    for place in range(3):
        (noisy, truth), (given, same) = (task.example(data, place) for task in (plain, mapped))
        assert given.shape == (1, 6, 16, 16)
        assert torch.equal(given[:, :3], noisy)
        assert torch.equal(same, truth)
        assert torch.equal(mapped.enlarged(given), noisy)
    without, with_map = plain.outputs(nn.Identity(), data), mapped.outputs(Half(), data)
    assert all(torch.equal(without[name], with_map[name]) for name in without)
    rngs = [torch.Generator().manual_seed(0) for _ in range(2)]
    batches = [task.augment(data, rng) for task, rng in zip((plain, mapped), rngs, strict=True)]
    assert batches[1]["given"].shape == (3, 6, 16, 16)
    assert torch.equal(batches[0]["given"], batches[1]["given"][:, :3])
    assert torch.equal(batches[0]["truth"], batches[1]["truth"])


def test_the_map_of_one_sigma_is_that_sigma():
    task = make(noise={"name": "gaussian", "sigma": [5, 50]}, noise_map=True)
    for place in range(3):
        given, _ = task.example(photographs(), place)
        assert given[:, 3:].unique().tolist() == pytest.approx([task.sensor.sigma(place) / 255])
    silent = make(noise={"name": "gaussian", "sigma": 0}, noise_map=True)
    assert not silent.example(photographs(), 0)[0][:, 3:].any()


def test_the_map_of_a_camera_says_how_far_its_images_are_from_the_truth():
    """In the middle tones; brighter pixels and other cameras have other noise."""
    sensor = RawSensor(CameraNoiseConfig(shot=[1e-3, 1e-2]), 0, with_map=True)
    levels = []
    for client in range(3):
        scene = torch.full((200, 3, 12, 12), 0.5)
        given, truth = sensor.shoot(scene, client, torch_rng(0, "x"))
        error = (given[:, :3] - truth).square().mean((0, 2, 3)).sqrt()
        known = given[:, 3:].square().mean((0, 2, 3)).sqrt()
        assert known.tolist() == pytest.approx(error.tolist(), rel=0.1)
        levels.append(known.mean().item())
    assert len({round(level, 3) for level in levels}) == 3


def test_the_sheet_shows_images_without_their_map():
    task = make(noise=SIGMA_10, noise_map=True)
    picture = task.sheet({"full": Half()}, photographs(2), ["image"])
    assert picture.shape == (3, 3 * (18 + 164), 2 * 164)


def test_networks_train_and_are_tested_with_the_map():
    task = make(noise=CAMERA, noise_map=True)
    model = build(NAFNetConfig(channels=4, encoder=[1], decoder=[1], noise_map=True), 3)
    task.validate(model, IMAGE)
    task.loss(model, photographs()).backward()
    seen = model.head.weight.grad[:, 3:]
    assert seen.any()
    assert task.outputs(model.eval(), photographs())["psnr"].shape == (3,)


def test_forms_and_costs_count_the_map():
    plain, mapped = make(noise=CAMERA), make(noise=CAMERA, noise_map=True)
    given, data = mapped.given(IMAGE), photographs()
    assert given.shape == (6, 16, 16)
    assert (given.mean, given.std) == ((0.0,) * 6, (1.0,) * 6)
    assert mapped.shown(data).shape == (3, 6, 16, 16)
    assert mapped.passes(IMAGE) == plain.passes(IMAGE)
    small = {"depth": 3, "channels": 4, "norm": "none"}
    model = build(DnCNNConfig(**small, noise_map=True), 3)
    macs = measured(model, given).macs
    without = measured(build(DnCNNConfig(**small), 3), plain.given(IMAGE)).macs
    assert macs - without == 3 * 9 * 4 * 16 * 16
    few_bits = load_variant(QuantizedConfig(), model, given)
    assert mapped.cost(few_bits, model).macs == macs
    deployed = few_bits.deploy(few_bits.build(model, None), mapped.shown(data), None)
    assert mapped.outputs(deployed, data)["psnr"].shape == (3,)
    with pytest.raises(UserError, match="cannot be made narrower"):
        load_variant(WidthConfig(ratio=0.5), model, given)


def test_integers_with_the_map_are_what_onnx_runtime_answers(tmp_path):
    pytest.importorskip("onnx")
    runtime = pytest.importorskip("onnxruntime")
    task, data = make(noise=CAMERA, noise_map=True), photographs()
    given, turn = task.given(IMAGE), Turn(0, 0, 1, training=False)
    torch.manual_seed(0)
    model = build(
        DnCNNConfig(depth=3, channels=4, norm="none", noise_map=True, start="he"), 3
    ).eval()
    form = load_variant(Int8Config(), model, given)
    layers = (9 * (6 + 4 + 3) * 4, 4 + 4 + 3)  # weights, biases
    assert task.cost(form, model).bytes == layers[0] + 4 * layers[1]
    seen = task.shown(data)
    found = task.outputs(form.deploy(form.build(model, turn), seen, turn), data)
    form.export(form.build(model, turn), seen, turn, tmp_path / "it.onnx")
    session = runtime.InferenceSession(tmp_path / "it.onnx", providers=["CPUExecutionProvider"])
    for place in range(3):
        noisy, truth = task.example(data, place)
        (direct,) = session.run(None, {"images": noisy.numpy()})
        assert direct.shape == (1, 3, 16, 16)
        level = task.level(torch.from_numpy(direct), truth)
        assert found["psnr"][place].item() == pytest.approx(level, abs=1e-9)
    # the map is read: without it the answer is another one
    assert not np.array_equal(direct, session.run(None, {"images": without_map(noisy)})[0])


def without_map(given):
    return torch.cat([given[:, :3], torch.zeros_like(given[:, 3:])], 1).numpy()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"noise_map": True}, "known for simulated noise only"),
        ({"noise": SIGMA_10, "noise_map": True, "video": {}}, "frames that HyperCon makes"),
        ({"noise": SIGMA_10, "video": {"scale": 2}}, "video.scale is 2, and a denoiser's images"),
        ({"noise": SIGMA_10, "permutation": 64}, "set noise.fresh to false"),
        ({"noise": {**SIGMA_10, "fresh": False}, "permutation": 1}, "greater than or equal to 2"),
    ],
)
def test_what_nobody_can_know_or_needs_is_refused(options, sentence):
    with pytest.raises(ValidationError, match=sentence):
        make(**options)


# ---------------------------------------------------------------------------------------------
# One noisy shot of every image, and its permutation


def spread(batch):
    return (batch["given"][:, :3] - batch["truth"]).flatten(2)


@pytest.mark.parametrize("noise", [SIGMA_10, CAMERA], ids=lambda n: n["name"])
@pytest.mark.parametrize("noise_map", [False, True])
def test_noise_that_is_not_fresh_is_that_of_one_shot(noise, noise_map):
    once = make(noise={**noise, "fresh": False}, noise_map=noise_map, **WHOLE)
    data, rng = photographs(), torch.Generator().manual_seed(0)
    first, second = (once.augment(data, rng) for _ in range(2))
    assert torch.equal(first["given"], second["given"])
    assert torch.equal(first["given"], once.shown(data))
    fresh = make(noise=noise, **WHOLE)
    one, other = (fresh.augment(data, rng) for _ in range(2))
    assert not torch.equal(one["given"], other["given"])
    assert torch.equal(one["truth"], other["truth"])


def test_permuted_noise_is_the_same_noise_elsewhere():
    options = {"noise": {**SIGMA_10, "fresh": False}, **WHOLE}
    data, rng = photographs(), torch.Generator().manual_seed(0)
    kept = make(**options).augment(data, rng)
    task = make(**options, permutation=16)
    first, second = (task.augment(data, rng) for _ in range(2))
    assert torch.equal(first["truth"], kept["truth"])
    assert not torch.equal(first["given"], second["given"])
    for batch in (first, second):
        torch.testing.assert_close(spread(batch).sort(2).values, spread(kept).sort(2).values)
    # a test is on the shot itself
    assert torch.equal(task.shown(data), make(**options).shown(data))


def test_a_camera_permutes_noise_on_its_mosaic():
    """Developed noise stays as strong and as alike between neighbours, which a permutation of the
    developed image would end."""
    image = ImageSpec((3, 64, 64), 1, (0.4,) * 3, (0.2,) * 3)
    flat = {
        "image": image.normalize(torch.full((2, 3, 64, 64), 0.5)),
        "label": torch.zeros(2, dtype=torch.int64),
        CLIENT: torch.arange(2),
    }
    options = {"noise": {**CAMERA, "fresh": False}, "patch": 64, **WHOLE}
    rng = torch.Generator().manual_seed(0)
    kept = make(image, **options).augment(flat, rng)
    moved = make(image, **options, permutation=64, noise_map=True).augment(flat, rng)
    assert torch.equal(kept["truth"], moved["truth"])
    figures = []
    for batch in (kept, moved):
        noise = batch["given"][:, :3] - batch["truth"]
        alike = (noise[..., 1:] * noise[..., :-1]).mean() / noise.square().mean()
        figures.append((noise.std().item(), alike.item()))
        assert figures[-1][1] > 0.2
    assert figures[0] == pytest.approx(figures[1], rel=0.1)
    assert not torch.allclose(kept["given"], moved["given"][:, :3], atol=0.01)


def test_pairs_of_one_channel_are_permuted_too():
    image = ImageSpec((1, 17, 16), 1, (0.4,), (0.2,))
    data = photographs(2, side=17)
    noisy = data["image"][:, :1, :, :16] * 0.2 + 0.4
    data = {
        **data,
        "image": image.normalize(noisy.clamp(0.2, 0.8)),
        "clean": torch.full((2, 1, 17, 16), 128, dtype=torch.uint8),
    }
    task, plain = (make(image, permutation=p, crops=8, **WHOLE) for p in (32, None))
    task.validate(nn.Identity(), image)
    rng = torch.Generator().manual_seed(0)
    kept, first, second = (t.augment(data, rng)["given"] for t in (plain, task, task))
    torch.testing.assert_close(first[0].flatten().sort().values, kept[0].flatten().sort().values)
    assert not torch.equal(first, second)
    assert torch.equal(task.example(data, 0)[0], plain.example(data, 0)[0])


def test_the_self_ensemble_is_the_mean_of_eight_results():
    """A model that adds a slope from left to right: turned and turned back, the slopes cancel."""

    class Slope(nn.Module):
        def forward(self, x):
            return x + torch.linspace(-0.1, 0.1, x.shape[-1])

    image = torch.full((1, 3, 16, 16), 0.5)
    plain, mean = (make(self_ensemble=wanted).restored(Slope(), image) for wanted in (False, True))
    assert float((plain - image).abs().max()) == pytest.approx(0.1)
    torch.testing.assert_close(mean, image)


def test_gains_are_over_the_better_of_the_filters():
    """A model that changes nothing loses to the better filter all that it gains over the noise."""
    data = photographs()

    class Held:
        """What a task asks of a runtime: the rows of a client, and samples."""

        federation = property(lambda self: self)

        def indices(self, client, split):
            return np.arange(3)

        def batch(self, rows):
            return {name: column[rows] for name, column in data.items()}

    found = make(noise={"name": "gaussian", "sigma": 40}).client_figures(Held(), 0, nn.Identity())
    best = max(found["gaussian_psnr"], found["bilateral_psnr"])
    assert found["gaussian_psnr"] != found["bilateral_psnr"]
    assert found["gain_over_filters"] == pytest.approx(found["noisy_psnr"] - best)
    assert found["gain_over_noisy"] == pytest.approx(0.0)
