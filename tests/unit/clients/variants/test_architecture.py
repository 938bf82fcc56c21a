"""Models of clients' own in the global model: built, trained, put back, refused."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from fedzda.base import ImageSpec, Turn, UserError
from fedzda.clients.models.lenet_bn import LeNetBN
from fedzda.clients.models.mlp import MLP
from fedzda.clients.variants.architecture import Architecture, with_architectures
from fedzda.clients.variants.architecture_config import ArchitectureConfig
from fedzda.clients.variants.costs import measured

DIGIT = ImageSpec((1, 8, 8), 10, (0.5,), (0.25,))
TURN = Turn(0, 0, 1, training=True)
OWN = ArchitectureConfig()
SMALL = ArchitectureConfig.model_validate({"model": {"name": "mlp", "hidden": [4]}})


def whole(*forms):
    torch.manual_seed(0)
    model = LeNetBN(1, 10, (8, 8), width=4)
    return with_architectures(model, DIGIT, forms or (OWN, SMALL, SMALL))


def test_titles():
    named = {"model": "resnet-8", "label": "tiny"}
    target = {"model": {"target": "my.nets:Net.make"}}
    forms = [ArchitectureConfig.model_validate(block) for block in ({}, named, target)]
    assert [form.title for form in forms] == ["full", "tiny", "Net-make"]
    assert [form.architecture for form in forms] == [None, "tiny", "Net-make"]
    assert SMALL.title == "mlp"


def test_the_run_s_own_model_gives_what_it_gave():
    torch.manual_seed(0)
    plain = LeNetBN(1, 10, (8, 8), width=4).eval()
    model = whole().eval()
    x = torch.randn(3, 1, 8, 8)
    assert torch.equal(plain(x), model(x))
    assert [name for name in model.state_dict() if name in plain.state_dict()] == list(
        plain.state_dict()
    )
    assert len(model.state_dict()) == len(plain.state_dict()) + 4


def test_a_sequential_gives_what_it_gave():
    plain = nn.Sequential(nn.Flatten(), nn.Linear(64, 10))
    model = with_architectures(copy.deepcopy(plain), DIGIT, [SMALL])
    x = torch.randn(3, 1, 8, 8)
    assert torch.equal(plain(x), model(x))


def test_one_architecture_adds_nothing():
    assert list(whole(OWN, OWN).state_dict()) == list(LeNetBN(1, 10, (8, 8)).state_dict())


@pytest.mark.parametrize("config", [OWN, SMALL], ids=["own", "other"])
def test_a_device_has_its_own_arrays_and_covers_them_alone(config):
    model = whole()
    form = Architecture(config, model, DIGIT)
    device_model = form.build(model, TURN)
    arrays, coverage = form.to_global(device_model, TURN)
    assert coverage == {}
    before = {name: value.clone() for name, value in model.state_dict().items()}
    assert all(np.array_equal(value, before[name]) for name, value in arrays.items())
    others = {name.startswith("architectures.") for name in arrays}
    assert others == {config is SMALL}
    with torch.no_grad():
        next(device_model.parameters()).zero_()
    assert form.to_global(device_model, TURN)[0].keys() == arrays.keys()
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_costs_are_those_of_the_architecture():
    model = whole()
    assert Architecture(SMALL, model, DIGIT).cost() == measured(MLP(1, 10, (8, 8), [4]), DIGIT)
    lenet = measured(LeNetBN(1, 10, (8, 8), width=4), DIGIT)
    assert Architecture(OWN, model, DIGIT).cost() == lenet


class Net(nn.Module):
    """Of a user: any size, any number of classes."""

    def __init__(self, side=8, classes=10):
        super().__init__()
        self.layer = nn.Linear(side * side, classes)

    def forward(self, x_NCHW):
        return self.layer(x_NCHW.flatten(1))


def mine(**args):
    target = f"{__name__}:Net"
    return ArchitectureConfig.model_validate({"model": {"target": target, "args": args}})


def test_models_that_do_not_fit(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, __name__, sys.modules[Net.__module__])
    assert "architectures.Net.layer.weight" in whole(mine()).state_dict()
    with pytest.raises(UserError, match=r"'Net' cannot take images of shape \(1, 8, 8\)"):
        whole(mine(side=28))
    with pytest.raises(UserError, match=r"gives \(2, 7\) for two images, .* model \(2, 10\)"):
        whole(mine(classes=7))
    model = LeNetBN(1, 10, (8, 8))
    model.architectures = 3
    with pytest.raises(UserError, match="has an attribute 'architectures'"):
        with_architectures(model, DIGIT, [SMALL])
