from types import SimpleNamespace

import pytest
import torch
from torch import nn

from fedzda.base import ImageSpec, UserError
from fedzda.clients.models.config import DiffusionUNetConfig
from fedzda.clients.tasks.config import DiffusionConfig, SamplingVariantConfig

pytest.importorskip("diffusers")

from fedzda.clients.models.diffusion_unet import DiffusionUNet
from fedzda.clients.tasks.diffusion import Diffusion
from fedzda.clients.tasks.diffusion_judge import compare_sets, train_judge

IMAGE = ImageSpec((1, 8, 8), 10, (0.3,), (0.4,))
VARIANTS = [
    {},
    {"steps": 3},
    {"frdiff": {"interval": 2}},
    {"frdiff": {}, "tdq": {"weight_bits": 4, "activation_bits": 8}},
]


def task(**given):
    return Diffusion(DiffusionConfig(**given), IMAGE)


def batch(size=6, seed=0):
    rng = torch.Generator().manual_seed(seed)
    pixels = torch.rand(size, 1, 8, 8, generator=rng)
    return {"image": IMAGE.normalize(pixels), "label": torch.arange(size) % 10}


def unet():
    torch.manual_seed(0)
    return DiffusionUNet(IMAGE, DiffusionUNetConfig(widths=[8, 16], layers=1))


class Nothing(nn.Module):
    """Predicts no noise."""

    def forward(self, noisy, timesteps):
        self.seen = noisy, timesteps
        return torch.zeros_like(noisy)


def test_predicting_nothing_costs_one():
    own, model = task(), Nothing()
    data = batch(200)
    loss = own.loss(model, own.augment(data, torch.Generator().manual_seed(0)))
    assert float(loss) == pytest.approx(1, abs=0.05)
    statistics = own.statistics(own.outputs(model, data), data)
    assert own.metrics(statistics)["noise_error"] == pytest.approx(1, abs=0.05)
    assert len(own.details(statistics)["bin_error"]) == 4


def test_noisy_images_are_pixels_from_minus_1_to_1_mixed_with_noise():
    own, model = task(), Nothing()
    data = {**batch(2), "noise": torch.zeros(2, 1, 8, 8), "timestep": torch.tensor([0, 999])}
    own.loss(model, data)
    noisy, timesteps = model.seen
    pixels = data["image"] * 0.4 + 0.3
    torch.testing.assert_close(noisy[0], (1 - 1e-4) ** 0.5 * (2 * pixels[0] - 1))
    assert float(noisy[1].abs().max()) < 0.01
    assert timesteps.tolist() == [0, 999]


def test_every_bin_has_its_time_steps():
    own = task(bins=2)

    class Early(nn.Module):
        def forward(self, noisy, timesteps):
            return (timesteps < 500).float().view(-1, 1, 1, 1) * 10 + torch.zeros_like(noisy)

    data = batch(20)
    errors = own.outputs(Early(), data)["error"]
    assert float(errors[:, 0].min()) > 50
    assert float(errors[:, 1].max()) < 5


def test_evaluation_does_not_depend_on_the_batch():
    own, model, data = task(), unet().eval(), batch(6)
    with torch.no_grad():
        whole = own.outputs(model, data)["error"]
        part = own.outputs(model, {k: v[4:] for k, v in data.items()})["error"]
    torch.testing.assert_close(whole[4:], part)


def test_statistics_add_up():
    own, model, data = task(), Nothing(), batch(6)
    outputs = own.outputs(model, data)
    segments = own.segment_statistics(outputs, data, torch.tensor([0, 0, 1, 1, 1, 1]), 2)
    whole = own.statistics(outputs, data)
    for name, value in segments.items():
        torch.testing.assert_close(value.sum(0), whole[name])


def test_models_that_do_not_fit_are_refused():
    task().validate(unet(), IMAGE)
    with pytest.raises(UserError, match="fails on images"):
        task().validate(nn.Flatten(), IMAGE)

    class Classifies(nn.Module):
        def forward(self, noisy, timesteps):
            return noisy.flatten(1)

    with pytest.raises(UserError, match="returns noise of the shape of its images"):
        task().validate(Classifies(), IMAGE)


def runtime(model, size=40):
    """What ``client_figures`` reads of a client runtime, with real tensors."""
    import numpy as np

    data = batch(size)
    return SimpleNamespace(
        model=model,
        seed=0,
        device=torch.device("cpu"),
        batch=lambda rows: {k: v[torch.from_numpy(rows)] for k, v in data.items()},
        federation=SimpleNamespace(
            train={"label": data["label"].numpy()}, indices=lambda c, s: np.arange(8)
        ),
    )


def test_every_device_samples_in_its_own_way():
    own = task(
        samples=10,
        judge_steps=2,
        sampling_steps=4,
        calibration_passes=1,
        fitting={"steps": 2, "batch_size": 4},
        variants=VARIANTS,
    )
    place = runtime(unet().eval())
    found = [own.client_figures(place, client) for client in range(5)]
    assert [int(figures["variant"]) for figures in found] == [0, 1, 2, 3, 0]
    costs = [figures["gflop_per_image"] for figures in found]
    assert costs[1] == pytest.approx(costs[0] * 3 / 4)
    assert costs[2] < costs[0]
    assert costs[4] == costs[0]
    assert found[0] != found[4]
    assert own.client_figures(place, 3) == found[3]
    assert {"frechet", "kernel_mmd", "density", "coverage"} <= found[0].keys()
    assert task(samples=0).client_figures(place, 0) == {}


def test_the_sheet_has_a_row_per_variant():
    own = task(
        sampling_steps=4,
        calibration_passes=1,
        fitting={"steps": 1, "batch_size": 4},
        variants=VARIANTS,
    )
    with torch.no_grad():
        sheet = own.sheet(unet().eval(), batch(4), ["a"] * 10)
    assert sheet.shape == (3, 4 * (16 + 50), 10 * 50)
    assert 0 <= float(sheet.min()) <= float(sheet.max()) <= 1


def test_titles_of_variants():
    titles = [SamplingVariantConfig.model_validate(given).title for given in VARIANTS]
    assert titles == ["full", "ddim-3", "frdiff-2", "frdiff-2 tdq-w4a8"]


def test_a_variant_that_contradicts_itself_is_refused():
    own = task(
        variants=[{"frdiff": {"num_inference_steps": 7}}],
        samples=4,
        judge_steps=1,
        sampling_steps=4,
    )
    with pytest.raises(UserError, match=r"frdiff\.num_inference_steps is 7"):
        own.client_figures(runtime(unet().eval()), 0)


def test_the_judge_tells_real_from_noise():
    from sklearn.datasets import load_digits

    found = load_digits()
    pixels = torch.tensor(found.images, dtype=torch.float32).unsqueeze(1) / 16
    labels = torch.tensor(found.target)
    judge = train_judge(pixels[:1000], labels[:1000], IMAGE, 0, steps=60)
    real, other = pixels[:300], pixels[1000:1300]
    same = compare_sets(judge, real, other, IMAGE)
    noise = compare_sets(judge, real, torch.rand(300, 1, 8, 8), IMAGE)
    assert same["frechet"] < 0.1 * noise["frechet"]
    assert same["coverage"] > 0.5 > noise["coverage"]
    assert same["class_gap"] < 0.15
    again = train_judge(pixels[:1000], labels[:1000], IMAGE, 0, steps=60)
    assert torch.equal(again.classifier.weight, judge.classifier.weight)
