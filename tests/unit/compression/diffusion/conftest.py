import pytest
import torch

from . import tiny


@pytest.fixture
def unet():
    return tiny.unet()


@pytest.fixture
def noise():
    return torch.randn(2, 1, 8, 8, generator=torch.Generator().manual_seed(1))
