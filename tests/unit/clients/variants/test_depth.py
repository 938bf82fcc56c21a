"""Shallow models: which stages they have, what they minimise, and what of it is global."""

import copy
import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch.nn import functional

from fedzda.base import ImageSpec, Turn, UserError
from fedzda.clients.models.cnn import CNN
from fedzda.clients.models.lenet_bn import LeNetBN
from fedzda.clients.models.resnet import ResNet8
from fedzda.clients.tasks.classification import Classification
from fedzda.clients.tasks.config import ClassificationConfig
from fedzda.clients.variants.config import DepthConfig
from fedzda.clients.variants.depth import Depth, OtherHeads, divergence, with_exits

DIGIT = ImageSpec((1, 8, 8), 10, (0.3,), (0.3,))
TURN = Turn(0, 0, 1, training=True)


def made(stages, make=lambda: LeNetBN(1, 10, (8, 8)), **settings):
    torch.manual_seed(0)
    model = with_exits(make(), DIGIT)
    return model, Depth(DepthConfig(stages=stages, **settings), model, DIGIT)


@pytest.mark.parametrize("make", [lambda: LeNetBN(1, 10, (8, 8)), lambda: ResNet8(1, 10)])
def test_stages_and_heads(make):
    model, _ = made(1, make)
    x = torch.randn(3, 1, 8, 8)
    before = model.eval()(x)
    sizes = []
    for stages in (1, 2, 3):
        form = Depth(DepthConfig(stages=stages), model, DIGIT)
        device = form.build(model, TURN).eval()
        out = device(x)
        assert len(device.logits) == stages
        sizes.append(form.cost().macs)
        if stages == 3:
            assert torch.equal(out, before)
    assert sizes[0] < sizes[1] < sizes[2]
    first = model.get_submodule(model.stages[0])
    seen = []
    handle = first.register_forward_hook(lambda m, i, o: seen.append(o))
    model(x)
    handle.remove()
    shallow = Depth(DepthConfig(stages=1), model, DIGIT).build(model, TURN).eval()
    torch.testing.assert_close(shallow(x), model.exits[0](seen[0].mean((2, 3))))


def test_only_what_a_device_has_comes_back():
    model, form = made(1)
    arrays, coverage = form.to_global(form.build(model, TURN), TURN)
    assert coverage == {}
    assert {name.split(".")[0] for name in arrays} == {"features", "exits"}
    assert "features.0.weight" in arrays
    assert "features.4.weight" not in arrays
    assert "exits.0.weight" in arrays
    assert "exits.1.weight" not in arrays
    everything, _ = made(3)[1].to_global(made(3)[1].build(model, TURN), TURN)
    assert everything.keys() == model.state_dict().keys()


def test_the_loss_of_all_heads():
    model, form = made(2, distillation=0.5)
    device = form.build(copy.deepcopy(model), TURN).train()
    batch = {"image": torch.randn(6, 1, 8, 8), "label": torch.arange(6)}
    task = Classification(ClassificationConfig(), DIGIT)
    run = SimpleNamespace(model=device, task=task)
    loss = OtherHeads(0.5).loss(run, batch, task.loss(device, batch))
    first, second = device.logits
    expected = sum(functional.cross_entropy(own, batch["label"]) for own in (first, second))
    torch.testing.assert_close(loss, expected + 0.5 * divergence([first, second]))
    loss.backward()
    assert all(p.grad is not None for p in device.parameters())


def test_the_divergence_by_hand():
    """KL((1/2, 1/2) || (3/4, 1/4)) and the other way round."""
    even, skewed = torch.tensor([[0.5, 0.5]]).log(), torch.tensor([[0.75, 0.25]]).log()
    there = 0.5 * math.log(0.5 / 0.75) + 0.5 * math.log(0.5 / 0.25)
    back = 0.75 * math.log(0.75 / 0.5) + 0.25 * math.log(0.25 / 0.5)
    assert divergence([even, skewed]).item() == pytest.approx((there + back) / 2)
    assert divergence([even, even + 1.0]).item() == pytest.approx(0.0, abs=1e-7)


def test_models_without_stages_and_too_many_stages():
    with pytest.raises(UserError, match="CNN has no attribute 'stages'"):
        with_exits(CNN(1, 10, (8, 8)), DIGIT)
    with pytest.raises(UserError, match="has stages 4, and the model has 3"):
        made(4)
    assert np.isfinite(made(1)[1].cost().activation_bytes)
