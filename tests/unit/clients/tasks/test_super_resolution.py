from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from fedzda.base import ImageSpec, UserError, torch_rng
from fedzda.clients.hooks.base import LocalRun
from fedzda.clients.hooks.initial_loss import InitialLoss
from fedzda.clients.tasks.critic import Critic
from fedzda.clients.tasks.lenses import make_lens
from fedzda.clients.tasks.restoration_config import (
    AdversarialConfig,
    LensConfig,
    SuperResolutionConfig,
)
from fedzda.clients.tasks.super_resolution import SuperResolution
from fedzda.platform.data.federation import CLIENT
from fedzda.platform.engines.calls import Call
from fedzda.platform.records import Content
from fedzda.vision.restoration.config import SRResidualConfig, UNetDiscriminatorConfig
from fedzda.vision.restoration.imresize import imresize
from fedzda.vision.restoration.networks import build

IMAGE = ImageSpec((3, 64, 64), 1, (0.4,) * 3, (0.2,) * 3)


class Bicubic(nn.Module):
    """Enlarges without learning."""

    def forward(self, x):
        return imresize(x, 2.0)


def make(image=IMAGE, **options):
    return SuperResolution(SuperResolutionConfig(scale=2, patch=8, **options), image)


def photographs(count=6, side=64, client=0):
    """Smooth scenes with some texture."""
    rng = torch.Generator().manual_seed(0)
    coarse = torch.rand(count, 3, 8, 8, generator=rng)
    scenes = nn.functional.interpolate(coarse, size=(side, side), mode="bilinear")
    scenes = scenes + 0.05 * torch.randn(count, 3, side, side, generator=rng)
    return {
        "image": IMAGE.normalize(scenes.clamp(0, 1)),
        "label": torch.zeros(count, dtype=torch.int64),
        CLIENT: torch.full((count,), client),
    }


def run_of(data, state=None, client=0):
    call = Call(client, "train", 1, Content(), state or Content())
    return LocalRun(SimpleNamespace(seed=0), call, nn.Identity(), data, state=Content())


def test_lenses_differ_by_client_and_stay_in_their_ranges():
    config = LensConfig(blur=[0.5, 2.0], noise=[1.0, 4.0], jpeg=[40, 90])
    lenses = [make_lens(config, 2, 0, client) for client in range(8)]
    assert len(set(lenses)) == 8
    for lens in lenses:
        assert 0.5 <= lens.blur.narrow <= lens.blur.wide <= 2.0
        assert 1.0 <= lens.noise <= 4.0
        assert 40 <= lens.quality <= 90
    assert make_lens(config, 2, 0, 3) == lenses[3]
    small = lenses[0](torch.full((3, 64, 64), 0.5), torch_rng(0, "x"))
    assert small.shape == (3, 32, 32)
    assert float((small * 255 - (small * 255).round()).abs().max()) < 1e-4


@pytest.mark.parametrize("scale", [2, 3, 4])
def test_flat_scenes_stay_flat_at_every_scale(scale):
    lens = make_lens(LensConfig(noise=[0.0, 0.0]), scale, 0, 1)
    small = lens(torch.full((1, 48, 48), 0.4), torch_rng(0, "x"))
    assert small.shape == (1, 48 // scale, 48 // scale)
    torch.testing.assert_close(small, torch.full_like(small, 0.4))


def test_figures_are_on_y_without_a_border():
    """Wrong colours in the border do not count; a shift of Y by 8/255 gives 30.07 dB."""
    task = make(degradation="bicubic")
    truth = torch.full((1, 3, 32, 32), 0.5)
    found = truth + 8 / 255 * 255 / 219
    found[:, :, :2] = 0
    figures = task.figures(found, truth)
    assert figures["psnr"].item() == pytest.approx(30.069, abs=0.01)
    assert figures["pixels"].item() == 28 * 28


def test_examples_depend_on_image_and_camera_alone():
    task = make()
    data = photographs()
    first, again = task.example(data, 2), task.example(photographs(), 2)
    assert torch.equal(first[0], again[0])
    assert first[0].shape == (1, 3, 32, 32)
    other = task.example(photographs(client=1), 2)
    assert torch.equal(other[1], first[1])
    assert not torch.equal(other[0], first[0])


def test_half_of_the_photographs_are_for_the_camera_alone():
    run = run_of(photographs(7))
    local = make(degradation="bicubic").for_client(run)
    assert len(run.data["label"]) == 3
    assert run.state == Content()
    batch = local.augment(run.data, torch.Generator().manual_seed(0))
    assert batch["given"].shape == (3, 3, 8, 8)
    assert batch["truth"].shape == (3, 3, 16, 16)


def test_a_client_finds_out_once_and_keeps_it():
    task = make()
    run = run_of(photographs())
    task.for_client(run)
    found = run.state.arrays["degradation"]
    assert sorted(found) == ["blur-0", "noise-0"]
    assert found["blur-0"].shape == (3,)
    assert found["noise-0"].shape[1:] == (3, 12, 12)
    means = np.abs(found["noise-0"].mean(axis=(2, 3)))
    assert means.max() < 0.02
    marked = {**found, "blur-0": np.array([1.5, 1.5, 0.0])}
    later = run_of(photographs(), Content({"degradation": marked}))
    task.for_client(later)
    assert later.state.arrays["degradation"]["blur-0"].tolist() == [1.5, 1.5, 0.0]


def test_one_photograph_is_enough():
    run = run_of(photographs(1))
    local = make().for_client(run)
    assert len(run.data["label"]) == 1
    local.augment(run.data, torch.Generator().manual_seed(0))


def test_pooled_clients_have_their_own_degradations():
    both = [photographs(4, client=0), photographs(4, client=3)]
    data = {name: torch.cat([part[name] for part in both]) for name in both[0]}
    run = run_of(data)
    local = make(degradation="oracle").for_client(run)
    assert run.data[CLIENT].tolist() == [0, 0, 3, 3]
    assert local.degradations[3] == make().lens(3)


def test_an_oracle_trains_on_what_the_camera_does():
    local = make(degradation="oracle").for_client(run_of(photographs()))
    patch = torch.rand(3, 32, 32, generator=torch.Generator().manual_seed(1))
    expected = make().lens(0)(patch, torch_rng(0, "x"))
    assert torch.equal(local.shrunk(patch, 0, torch_rng(0, "x")), expected)


def test_the_discriminator_learns_is_kept_and_only_pushes_the_generator():
    task = make(degradation="bicubic", adversarial={"weight": 0.1})
    run = run_of(photographs())
    local = task.for_client(run)
    first = local.critic.arrays()
    generator = build(SRResidualConfig(scale=2, channels=4, blocks=1), 3)
    batch = local.augment(run.data, torch.Generator().manual_seed(0))
    loss = local.loss(generator, batch)
    plain = task.distance(generator(batch["given"]), batch["truth"])
    assert loss.detach() > plain.detach()
    loss.backward()
    assert all(p.grad is not None for p in generator.parameters())
    local.finish(run)
    kept = run.state.arrays["discriminator"]
    assert any(not np.array_equal(kept[name], first[name]) for name in first)
    again = task.for_client(run_of(photographs(), run.state))
    assert all(np.array_equal(again.critic.arrays()[name], kept[name]) for name in kept)


def test_discriminators_differ_by_client_and_learn_to_tell():
    config = AdversarialConfig(discriminator=UNetDiscriminatorConfig(channels=4), lr=5e-3)
    critics = [Critic(config, 1, torch_rng(0, "d", c), None, torch.device("cpu")) for c in (0, 1)]
    names = list(critics[0].arrays())
    assert any(not np.array_equal(critics[0].arrays()[n], critics[1].arrays()[n]) for n in names)
    real, fake = torch.ones(4, 1, 16, 16), torch.zeros(4, 1, 16, 16)
    before = float(critics[0].judge(fake, real))
    for _ in range(20):
        critics[0].learn(fake, real)
    assert float(critics[0].judge(fake, real)) > before


def test_bicubic_model_gains_nothing_over_bicubic():
    task = make()
    data = photographs(3)
    federation = SimpleNamespace(indices=lambda client, split: np.arange(3))
    runtime = SimpleNamespace(
        federation=federation,
        batch=lambda rows: {name: column[rows] for name, column in data.items()},
    )
    found = task.client_figures(runtime, 0, Bicubic())
    assert found["gain_over_bicubic"] == pytest.approx(0.0, abs=1e-6)
    assert 15 < found["bicubic_psnr"] < 45
    federation.indices = lambda client, split: np.arange(0)
    assert task.client_figures(runtime, 0, Bicubic()) == {}


@pytest.mark.parametrize(
    ("side", "options", "model", "sentence"),
    [
        (1, {"degradation": "bicubic"}, Bicubic(), "1x1 pixels .* at scale 2 needs 16"),
        (48, {}, Bicubic(), "the estimate of a blur at scale 2 needs 64"),
        (64, {"noise_side": 40}, Bicubic(), "task.noise_side: 40 at scale 2 needs 80"),
        (64, {}, nn.Identity(), r"task.scale is 2.*\(2, 3, 64, 64\) \(got shape \(2, 3, 32, 32\)"),
        (64, {}, nn.Linear(5, 5), "Choose a super-resolver"),
        (
            64,
            {"test_crop": 14},
            Bicubic(),
            "task.test_crop is 14, .* inside a border of 2 needs 15",
        ),
        (
            64,
            {"adversarial": {"discriminator": {"name": "patch", "halvings": 4}}},
            Bicubic(),
            r"\(task.patch 8 at scale 2\), as the discriminator: .* or lower .*halvings",
        ),
    ],
)
def test_what_does_not_fit_is_said(side, options, model, sentence):
    image = ImageSpec((3, side, side), 1, (0.4,) * 3, (0.2,) * 3)
    with pytest.raises(UserError, match=sentence):
        make(image=image, **options).validate(model, image)


def noisy_photographs(sigma, channels=3, side=128):
    """Scenes of one client and a task whose camera adds so much noise."""
    image = ImageSpec((channels, side, side), 1, (0.0,) * channels, (1.0,) * channels)
    rng = torch.Generator().manual_seed(1)
    coarse = torch.rand(8, channels, 16, 16, generator=rng)
    scenes = nn.functional.interpolate(coarse, size=(side, side), mode="bicubic").clamp(0.1, 0.9)
    data = {
        "image": scenes,
        "label": torch.zeros(8, dtype=torch.int64),
        CLIENT: torch.zeros(8, dtype=torch.int64),
    }
    return make(image=image, lens={"blur": [1.5, 2.0], "noise": [sigma, sigma]}), data


@pytest.mark.parametrize("channels", [1, 3])
def test_where_nothing_is_flat_noise_is_white_and_as_strong_as_the_cameras(channels):
    """Grey values hold 0.67 of the noise of independent colours."""
    task, data = noisy_photographs(12.0, channels)
    run = run_of(data)
    task.for_client(run)
    pool = run.state.arrays["degradation"]["noise-0"]
    assert len(pool) == 256
    assert 255 * pool.std() == pytest.approx(12.0, rel=0.1)


def test_a_few_quiet_patches_are_not_taken_for_the_noise_of_a_camera(monkeypatch):
    """Of a noisy camera only the quietest patches pass for flat."""
    task, data = noisy_photographs(12.0)
    quiet = torch.zeros(15, 3, 12, 12)
    where = "fedzda.clients.tasks.super_resolution_local.flat_patches"
    monkeypatch.setattr(where, lambda *_: quiet)
    run = run_of(data)
    task.for_client(run)
    assert 255 * run.state.arrays["degradation"]["noise-0"].std() > 10
    monkeypatch.setattr(where, lambda *_: torch.zeros(16, 3, 12, 12))
    run = run_of(data)
    task.for_client(run)
    assert run.state.arrays["degradation"]["noise-0"].shape == (16, 3, 12, 12)


def test_a_client_trains_with_the_blur_and_the_noise_that_it_found():
    """A wide blur leaves less of a bright dot than a narrow one; noise of the pool comes on top."""
    data = photographs()
    dot = torch.zeros(3, 32, 32)
    dot[:, 16, 16] = 1.0
    peaks = []
    for width in (0.6, 2.0):
        blur = {"blur-0": np.array([width, width, 0.0])}
        silent = {"noise-0": np.zeros((16, 3, 12, 12), np.float32)}
        state = Content({"degradation": {**blur, **silent}})
        local = make().for_client(run_of(photographs(), state))
        peaks.append(float(local.shrunk(dot, 0, torch_rng(0, "x")).max()))
    assert peaks[0] > 3 * peaks[1]
    noise = np.random.default_rng(0).normal(0, 0.05, (16, 3, 12, 12)).astype(np.float32)
    state = Content({"degradation": {**blur, "noise-0": noise}})
    local = make().for_client(run_of(data, state))
    grey = torch.full((3, 64, 64), 0.5)
    assert float(local.shrunk(grey, 0, torch_rng(0, "x")).std()) == pytest.approx(0.05, rel=0.2)


def test_the_loss_that_q_ffl_asks_for_is_that_of_the_clients_own_camera():
    """The oracle's patches are blurred and noisy, bicubic ones are not."""
    found = {}
    for degradation in ("bicubic", "oracle"):
        options = {"lens": {"blur": [2.5, 2.5]}, "adversarial": AdversarialConfig()}
        task = make(degradation=degradation, **options)
        run = run_of(photographs())
        run.runtime.task, run.model = task, Bicubic()
        InitialLoss().start(run)
        found[degradation] = run.metrics["train_loss"]
        assert len(run.data["image"]) == 6
    assert found["oracle"] > 1.1 * found["bicubic"]


@pytest.mark.parametrize("name", ["generic", "bsrgan", "real-esrgan"])
def test_clients_may_train_on_a_pool_of_degradations(name):
    """No camera is estimated; patches are small, in steps of 1/255, and fresh in every draw."""
    run = run_of(photographs())
    local = make(degradation=name).for_client(run)
    assert "degradation" not in run.state.arrays
    scene, rng = photographs()["image"][0].clamp(0, 1)[:, :32, :32], torch_rng(0, "x")
    one, two = (local.shrunk(scene, 0, rng) for _ in range(2))
    assert one.shape == two.shape == (3, 16, 16)
    assert not torch.equal(one, two)
    assert float((255 * one - (255 * one).round()).abs().max()) < 1e-3
