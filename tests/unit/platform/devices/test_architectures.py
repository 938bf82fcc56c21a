"""Several architectures in one set of arrays, taken apart and put together."""

import pytest
import torch
from torch import nn

from fedzda.platform.devices.architectures import architecture_of, global_arrays, own_arrays


def whole():
    model = nn.Sequential(nn.Linear(2, 3))
    others = nn.Module()
    others.add_module("small", nn.Linear(2, 1))
    model.add_module("architectures", others)
    return model


def test_arrays_of_one_and_back():
    arrays = whole().state_dict()
    own, small = own_arrays(arrays, None), own_arrays(arrays, "small")
    assert list(own) == ["0.weight", "0.bias"]
    assert list(small) == ["weight", "bias"]
    assert {**global_arrays(own, None), **global_arrays(small, "small")} == arrays
    assert own_arrays(arrays, "smal") == {}


def test_a_copy_of_one_knows_nothing_of_the_others():
    model = whole()
    own, small = architecture_of(model, None), architecture_of(model, "small")
    assert list(own.state_dict()) == ["0.weight", "0.bias"]
    assert isinstance(small, nn.Linear)
    with torch.no_grad():
        own[0].weight.zero_()
        small.weight.zero_()
    assert model[0].weight.any()
    assert model.architectures.small.weight.any()
    with pytest.raises(AttributeError):
        architecture_of(model, "large")


def test_a_model_that_stands_alone():
    model = nn.Linear(2, 1)
    alone = architecture_of(model, None)
    assert alone is not model
    assert torch.equal(alone.weight, model.weight)
