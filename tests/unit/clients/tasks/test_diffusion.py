from types import SimpleNamespace

import pytest
import torch
from torch import nn

from fedzda.base import ImageSpec, Turn, UserError
from fedzda.clients.models.config import DiffusionUNetConfig
from fedzda.clients.tasks.config import DiffusionConfig
from fedzda.platform.devices.forms import load_variant
from fedzda.platform.devices.variant_block import variant_config

pytest.importorskip("diffusers")

from fedzda.clients.models.diffusion_unet import DiffusionUNet
from fedzda.clients.tasks.diffusion import Diffusion
from fedzda.clients.tasks.diffusion_judge import compare_sets, train_judge

IMAGE = ImageSpec((1, 8, 8), 10, (0.3,), (0.4,))
WAYS = {
    "full": "full",
    "ddim-3": {"name": "ddim", "steps": 3},
    "frdiff-2": {"name": "frdiff", "interval": 2},
    "frdiff-2 tdq-w4a8": {"name": "frdiff", "tdq": {"weight_bits": 4, "activation_bits": 8}},
}
"""Forms of devices, by their title."""
QUICK = {
    "sampling_steps": 4,
    "calibration_passes": 1,
    "fitting": {"steps": 2, "batch_size": 4},
}


def task(**given):
    return Diffusion(DiffusionConfig(**given), IMAGE)


def form(model, block):
    return load_variant(variant_config(block), model, IMAGE)


def deployed_as(model, block):
    """What a device tests."""
    turn, own = Turn(0, 0, 1, training=False), form(model, block)
    return own.deploy(own.build(model, turn), None, turn)


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


def runtime(size=40):
    """What ``client_figures`` reads of a client runtime, with real tensors."""
    import numpy as np

    data = batch(size)
    return SimpleNamespace(
        seed=0,
        device=torch.device("cpu"),
        batch=lambda rows: {k: v[torch.from_numpy(rows)] for k, v in data.items()},
        federation=SimpleNamespace(
            train={"label": data["label"].numpy()}, indices=lambda c, s: np.arange(8)
        ),
    )


def test_every_device_samples_in_its_own_way():
    own, model, place = task(samples=10, judge_steps=2, **QUICK), unet().eval(), runtime()
    blocks = [*WAYS.values(), "full"]
    found = [
        own.client_figures(place, k, deployed_as(model, block)) for k, block in enumerate(blocks)
    ]
    costs = [figures["gflop_per_image"] for figures in found]
    assert costs[1] == pytest.approx(costs[0] * 3 / 4)
    assert costs[2] < costs[0]
    assert costs[4] == costs[0]
    assert found[0] != found[4]
    assert own.client_figures(place, 3, deployed_as(model, blocks[3])) == found[3]
    assert {"frechet", "kernel_mmd", "density", "coverage"} <= found[0].keys()
    assert task(samples=0).client_figures(place, 0, model) == {}


def test_what_an_image_takes_is_counted_with_reuse():
    """All steps: their number times one call. Reuse: less; few bits: fewer bytes, equal work."""
    from fedzda.compression.diffusion.flops import count_flops

    own, model = task(**QUICK), unet().eval()
    costs = {title: own.cost(form(model, block), model) for title, block in WAYS.items()}
    noise, first = torch.zeros(1, 1, 8, 8), torch.zeros(1, dtype=torch.int64)
    with torch.no_grad():
        assert costs["full"].macs == 4 * count_flops(lambda: model(noise, first)) // 2
    assert costs["ddim-3"].macs * 4 == costs["full"].macs * 3
    assert costs["frdiff-2"].macs < 0.8 * costs["full"].macs
    assert costs["frdiff-2 tdq-w4a8"].macs == costs["frdiff-2"].macs
    assert costs["frdiff-2 tdq-w4a8"].bytes < 0.5 * costs["frdiff-2"].bytes
    assert len({cost.training_bytes for cost in costs.values()}) == 1
    assert own.passes(IMAGE) == 1 / 4


def test_the_sheet_has_a_row_per_form():
    own, model = task(**QUICK), unet().eval()
    models = {title: deployed_as(model, block) for title, block in WAYS.items()}
    with torch.no_grad():
        sheet = own.sheet(models, batch(4), ["a"] * 10)
    assert sheet.shape == (3, 4 * (16 + 50), 10 * 50)
    assert 0 <= float(sheet.min()) <= float(sheet.max()) <= 1


def test_titles_of_ways():
    assert [variant_config(block).title for block in WAYS.values()] == list(WAYS)
    keyed = variant_config({"name": "frdiff", "keyframes": [0, 2], "steps": 4})
    assert keyed.title == "ddim-4 frdiff-keyframes"


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
