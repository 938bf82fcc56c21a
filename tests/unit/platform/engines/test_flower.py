"""What does not take Flower's engine itself to find out about ours around it."""

import random

import numpy as np
import pytest
import torch

from fedzda.base import RunError
from fedzda.platform.config import FlowerConfig
from fedzda.platform.engines import flower


class Stuck(flower.FlowerEngine):
    """An engine that never comes up."""

    def _host(self):
        self._done.wait()


def draws():
    return random.random(), np.random.rand(), float(torch.rand(()))  # noqa: NPY002


def draw(handler, item):
    return draws()


def test_an_engine_that_does_not_come_up_is_told_in_a_sentence(spec, monkeypatch):
    monkeypatch.setattr(flower, "_START_TIMEOUT_SEC", 0.05)
    engine = Stuck(FlowerConfig(), spec, 0, 2)
    with pytest.raises(RunError, match=r"not ready within 0\.05 s\. Lower engine\.workers"):
        engine.start()
    engine.stop()


def test_work_of_a_strategy_leaves_the_random_numbers_of_the_server_alone(spec):
    """As with other engines, or what the server draws afterwards were the same in every round."""
    engine = Stuck(FlowerConfig(), spec, 0, 2)
    drawn = []
    for seed in (1, 2):
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002
        torch.manual_seed(seed)
        engine.map(draw, [None, None])
        drawn.append(draws())
    assert all(first != second for first, second in zip(*drawn, strict=True))
