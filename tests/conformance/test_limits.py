"""Limit cases: switched off, a method is FedAvg, bit for bit."""

import numpy as np
import pytest

from fedzda.platform import checkpoint
from fedzda.platform.simulation import Simulation

from . import tiny


def weights(tmp_path, **strategy):
    config = tiny.config(tmp_path, strategy=strategy)
    found = Simulation.build(config).run()
    return checkpoint.load_latest(found.path / "checkpoints").arrays


@pytest.mark.parametrize(
    "switched_off",
    [
        {"name": "fed-zdac", "start_round": 99},
        {"name": "fed-zdas", "server_start_round": 99},
        {"name": "fed-zda", "start_round": 99, "server_start_round": 99},
    ],
)
def test_ours(tmp_path, switched_off):
    reference = weights(tmp_path, name="fed-avg", clients_per_round=4)
    found = weights(tmp_path, clients_per_round=4, **switched_off)
    for name, value in reference.items():
        assert np.array_equal(value, found[name]), name


@pytest.mark.parametrize(
    "switched_off",
    [
        {"name": "flwr-fed-prox", "proximal_mu": 0.0},
        {"name": "flwr-fed-avg-m", "server_momentum": 0.0},
    ],
)
def test_flowers(tmp_path, switched_off):
    reference = weights(tmp_path, name="flwr-fed-avg", clients_per_round=4)
    found = weights(tmp_path, clients_per_round=4, **switched_off)
    for name, value in reference.items():
        np.testing.assert_allclose(value, found[name], rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("batchnorm", ["naive", "strategy"])
def test_flowers_fed_avg_is_ours(tmp_path, batchnorm):
    """With every client in every round both average the same models."""
    ours = weights(tmp_path, name="fed-avg", batchnorm="naive")
    found = weights(tmp_path, name="flwr-fed-avg", batchnorm=batchnorm)
    for name, value in ours.items():
        np.testing.assert_allclose(value, found[name], rtol=2e-4, atol=2e-5)
