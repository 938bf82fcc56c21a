"""What configurations of forms say of their devices."""

import pytest

from fedzda.clients.variants.architecture_config import ArchitectureConfig
from fedzda.clients.variants.config import Int8Config, QuantizedConfig, WidthConfig


@pytest.mark.parametrize("kind", [WidthConfig, QuantizedConfig, Int8Config, ArchitectureConfig])
@pytest.mark.parametrize("train", [True, False])
def test_devices_train_as_configured(kind, train):
    assert kind(train=train).trains is train
