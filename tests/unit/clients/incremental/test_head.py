"""The growing head, imprinting, herding and the memory."""

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from fedzda.base import ImageSpec, UserError
from fedzda.clients.incremental.head import ABSENT, CosineHead, IncrementalHead, fit_head, imprint
from fedzda.clients.incremental.herding import herd
from fedzda.clients.incremental.memory import all_rows, quota, remember
from fedzda.clients.incremental.probe import Probe
from fedzda.platform.scenario.config import ClassIncrementalConfig

IMAGE = ImageSpec((1, 2, 2), 5, (0.0,), (1.0,))


def scenario(head="linear"):
    return ClassIncrementalConfig(base_classes=2, classes_per_phase=1, head=head)


def small():
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 5))


def test_a_head_grows_by_being_told():
    model = fit_head(small(), scenario(), IMAGE)
    assert isinstance(model[3], IncrementalHead)
    x = torch.randn(6, 4)
    whole = model(x)
    assert torch.allclose(whole, small()(x))
    model[3].seen = 2
    few = model(x)
    assert torch.equal(few[:, :2], whole[:, :2])
    assert torch.equal(few[:, 2:], torch.full((6, 3), ABSENT))
    narrow = functional.cross_entropy(few[:, :2], torch.tensor([0, 1] * 3))
    assert torch.equal(functional.cross_entropy(few, torch.tensor([0, 1] * 3)), narrow)
    narrow.backward()
    assert float(model[3].weight.grad[2:].abs().sum()) == 0


def test_the_cosine_head_by_hand():
    head = CosineHead(2, 2)
    with torch.no_grad():
        head.weight.copy_(torch.tensor([[2.0, 0.0], [0.0, 0.5]]))
        head.sigma.fill_(3.0)
    found = head(torch.tensor([[1.0, 1.0]]))
    assert found.tolist() == [[pytest.approx(3 / math.sqrt(2))] * 2]


@pytest.mark.parametrize(
    ("classes", "sigma", "floor"),
    [(50, 1.0, 2.032275), (50, 5.0, 0.002222), (50, 10.0, 1.0e-7), (100, 1.0, 2.667103)],
)
def test_the_floor_of_the_cosine_cross_entropy(classes, sigma, floor):
    cosines = torch.full((1, classes), -1.0, dtype=torch.float64)
    cosines[0, 0] = 1.0
    found = functional.cross_entropy(sigma * cosines, torch.tensor([0]))
    assert float(found) == pytest.approx(floor, abs=1e-6)


def test_imprinting():
    head = CosineHead(2, 3)
    with torch.no_grad():
        head.weight[:2] = torch.tensor([[2.0, 0.0], [0.0, 4.0]])
    imprint(head, torch.tensor([[1.0, 0.0], [0.0, 1.0]]), 2, 2)
    assert head.weight[2].tolist() == pytest.approx([2.12132, 2.12132], abs=1e-5)


def test_models_without_a_head():
    with pytest.raises(UserError, match="has none"):
        fit_head(nn.Conv2d(1, 1, 1), scenario(), IMAGE)
    with pytest.raises(UserError, match="has no growing head"):
        Probe(small())
    squeezed = nn.Sequential(nn.Flatten(), nn.Linear(4, 3), nn.Unflatten(1, (3, 1, 1)))
    with pytest.raises(UserError, match="'1', has 3 outputs for 5 classes"):
        fit_head(squeezed, scenario(), IMAGE)


def test_a_probe_sees_layers_and_leaves_nothing_behind():
    model = fit_head(small(), scenario("cosine"), IMAGE)
    x = torch.randn(2, 4)
    with Probe(model, ["1"]) as probe:
        views = probe(x)
    assert torch.equal(views.features, model[2](model[1](x)))
    assert torch.equal(views.maps[0], model[1](x))
    assert not model[3]._forward_pre_hooks
    assert not model[1]._forward_hooks


def test_herding():
    angles = [math.radians(a) for a in (0, 20, 60, 100)]
    features = torch.tensor([[math.cos(a), math.sin(a)] for a in angles])
    assert herd(features, 3) == [2, 1, 3]
    assert herd(5 * features, 3) == [2, 1, 3]
    assert sorted(herd(features, 9)) == [0, 1, 2, 3]
    assert len(herd(torch.ones(4, 2), 3)) == 3


def test_quota():
    assert quota(20, None, 50) == 20
    assert quota(0, 2000, 60) == 33


def test_the_memory_keeps_the_best_of_what_it_has():
    model = fit_head(small(), scenario(), IMAGE)
    pool = torch.randn(20, 1, 2, 2)
    rows = {0: np.arange(0, 8), 1: np.arange(8, 20)}
    first = remember({}, model, {0: rows[0]}, lambda r: pool[torch.from_numpy(r)], 4)
    assert len(first["0"]) == 4
    assert set(first["0"]) <= set(rows[0])
    second = remember(first, model, rows, lambda r: pool[torch.from_numpy(r)], 3)
    assert second["0"].tolist() == first["0"][:3].tolist()
    assert set(second["1"]) <= set(rows[1])
    assert all_rows(second).tolist() == [*second["0"], *second["1"]]
    assert len(all_rows({})) == 0
