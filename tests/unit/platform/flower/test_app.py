"""What an app of somebody else's finds around it."""

import random

import torch

from fedzda.platform.flower.app import run_apps

APP = """
import random

import numpy as np
import torch
from flwr.app import MetricRecord
from flwr.clientapp import ClientApp
from flwr.serverapp import ServerApp

client, server = ClientApp(), ServerApp()


@server.main()
def main(grid, context):
    drawn = {"python": random.random(), "numpy": np.random.rand(), "torch": torch.rand(()).item()}
    context.state["drawn"] = MetricRecord(drawn)
"""


def test_what_the_server_draws_is_a_function_of_the_seed(tmp_path):
    (tmp_path / "drawingapp.py").write_text(APP)

    def drawn(seed):
        names = "drawingapp:server", "drawingapp:client"
        return dict(run_apps(*names, 2, seed=seed, folder=tmp_path).state["drawn"])

    before = random.getstate(), torch.get_rng_state()
    first, again, other = drawn(3), drawn(3), drawn(4)
    assert first == again
    assert all(first[name] != other[name] for name in first)
    assert random.getstate() == before[0]
    assert torch.equal(torch.get_rng_state(), before[1])
