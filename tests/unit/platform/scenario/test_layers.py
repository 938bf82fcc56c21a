"""Layers that are distilled: those named, or the stages."""

import pytest
import torch
from torch import nn

from fedzda.base import UserError
from fedzda.clients.models.lenet_bn import LeNetBN
from fedzda.platform.scenario.layers import layers_of


def test_layers():
    torch.manual_seed(0)
    lenet = LeNetBN(1, 3, (8, 8), width=2)
    assert layers_of(lenet, None) == ["features.3", "features.7", "features.11"]
    assert layers_of(lenet, ["features.0"]) == ["features.0"]
    with pytest.raises(UserError, match=r"names 'features.12', which model LeNetBN .* features.7"):
        layers_of(lenet, ["features.0", "features.12"])
    with pytest.raises(UserError, match="does not name its stages"):
        layers_of(nn.Linear(1, 1), None)
