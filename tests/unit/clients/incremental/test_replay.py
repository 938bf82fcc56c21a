"""What is replayed, the step size over a phase, and statistics that stay."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from fedzda.base import ImageSpec, torch_rng
from fedzda.clients.incremental.optimizing import Optimizers, schedule_factor
from fedzda.clients.incremental.replay import Fresh, Noise, Stored, replay_of
from fedzda.clients.incremental.training import still_statistics, train_teacher
from fedzda.clients.models.lenet_bn import LeNetBN
from fedzda.generators.config import ZSCGANConfig
from fedzda.generators.zs_cgan import ZSCGAN
from fedzda.platform.config import LocalConfig, SGDConfig

ALL = ImageSpec((1, 8, 8), 5, (0.3,), (0.4,))
OLD = ImageSpec((1, 8, 8), 3, (0.3,), (0.4,))
CONFIG = {"name": "zs-cgan", "steps": 1, "batch_size": 6, "channels": 4}
OPTIONS = {"enabled": True, "images": "generator", "synthesizer": CONFIG, "store": None}


@pytest.fixture(scope="module")
def maker():
    torch.manual_seed(0)
    found = ZSCGAN(ZSCGANConfig(**CONFIG))
    found.fit(LeNetBN(1, 3, (8, 8), width=2).eval(), range(3), OLD, torch_rng(0, "fit"))
    return found


@pytest.mark.parametrize("kind", ["fresh", "stored", "noise"])
def test_labels_are_old_and_balanced(kind, maker):
    if kind == "fresh":
        replay = Fresh(maker, ALL, 3)
    elif kind == "noise":
        replay = Noise(ALL, 3)
    else:
        replay = Stored(torch.zeros(30, 1, 8, 8), torch.arange(3).repeat(10))
    images, labels = replay.draw(1200, torch_rng(0, "draw"))
    assert images.shape == (1200, 1, 8, 8)
    counts = np.bincount(labels.numpy())
    assert len(counts) == 3
    assert np.abs(counts - 400).max() < 3 * np.sqrt(1200 * 2 / 9)


def test_what_a_request_brings(maker):
    generator = {"replay-generator": {k: v.numpy() for k, v in maker.state().items()}}
    pixels = np.full((4, 1, 8, 8), 255, np.uint8)
    samples = {"replay-images": {"image": pixels, "label": np.array([0, 1, 2, 0])}}

    def found(arrays, **changes):
        return replay_of({**OPTIONS, **changes}, arrays, ALL, 3, torch_rng(0, "store"))

    assert found(generator, enabled=False) is None
    assert found({}) is None
    assert isinstance(found({}, images="noise"), Noise)
    assert isinstance(found(generator), Fresh)
    sent = found(samples)
    assert torch.allclose(sent.images, torch.tensor((1 - 0.3) / 0.4))
    stored = found(generator, store=7)
    assert stored.labels.bincount().tolist() == [3, 2, 2]
    again = found(generator, store=7)
    assert torch.equal(stored.images, again.images)


def test_the_step_size_over_a_phase():
    assert [schedule_factor("steps", p) for p in (0, 0.49, 0.5, 0.75)] == pytest.approx(
        [1, 1, 0.1, 0.01]
    )
    assert schedule_factor("cosine", 0.5) == pytest.approx(0.5)
    assert schedule_factor("constant", 0.9) == 1.0


def test_variances_do_not_decay():
    weight, variance = (torch.nn.Parameter(torch.ones(2)) for _ in range(2))
    config = SGDConfig(lr=0.1, weight_decay=0.5)
    optimizer = Optimizers(config, [weight], [variance])
    (0.0 * weight.sum() + 0.0 * variance.sum()).backward()
    optimizer.step(0.5)
    assert weight.tolist() == pytest.approx([1 - 0.05 * 0.5] * 2)
    assert variance.tolist() == [1.0, 1.0]


def test_still_statistics():
    torch.manual_seed(0)
    model = LeNetBN(1, 3, (8, 8), width=2).train()
    before = {k: v.clone() for k, v in model.state_dict().items() if "running" in k}
    x = torch.randn(6, 1, 8, 8)
    with still_statistics(model):
        still = model(x)
    after = model.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())
    assert torch.equal(still, model(x))
    assert any(not torch.equal(v, model.state_dict()[k]) for k, v in before.items())


@pytest.mark.parametrize("given", [{"clip_norm": 1e-6}, {"lr_decay": 1e-6}])
def test_the_second_teacher_follows_the_local_settings(given):
    data = {"image": torch.rand(6, 1, 8, 8), "label": torch.tensor([3, 4] * 3)}
    runtime = SimpleNamespace(
        seed=0,
        task=SimpleNamespace(augment=lambda batch, rng: batch),
        config=SimpleNamespace(rounds=4),
    )
    run = SimpleNamespace(data=data, call=SimpleNamespace(round=2, client=0), runtime=runtime)
    moved = []
    for own in ({}, given):
        torch.manual_seed(0)
        model = LeNetBN(1, 5, (8, 8), width=2)
        before = torch.nn.utils.parameters_to_vector(model.parameters()).detach()
        config = LocalConfig(batch_size=3, optimizer={"name": "sgd", "lr": 0.1}, **own)
        rng = np.random.default_rng(0)
        train_teacher(run, model, (3, 5), config, rng, {"schedule": "constant"})
        after = torch.nn.utils.parameters_to_vector(model.parameters()).detach()
        moved.append(float((after - before).norm()))
    assert moved[1] < 1e-3 * moved[0]
