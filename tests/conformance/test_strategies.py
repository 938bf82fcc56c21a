"""What every registered strategy must do, ours and Flower's alike."""

import shutil

import numpy as np
import pandas as pd
import pytest

from fedzda.platform import checkpoint
from fedzda.platform.catalog import CATALOG
from fedzda.platform.simulation import Simulation

from . import tiny

STRATEGIES = sorted(CATALOG["strategies"])


def weights(run):
    return checkpoint.load_latest(run.path / "checkpoints").arrays


def equal(first, second):
    return first.keys() == second.keys() and all(
        np.array_equal(first[k], second[k]) and first[k].dtype == second[k].dtype for k in first
    )


@pytest.mark.parametrize("name", STRATEGIES)
def test_runs_learns_and_is_deterministic(name, tmp_path):
    runs = [Simulation.build(tiny.config(tmp_path, name)).run() for _ in range(2)]
    assert equal(weights(runs[0]), weights(runs[1]))
    columns = ["round", "phase", "client", "metric", "value"]
    tables = [run.clients[columns] for run in runs]
    pd.testing.assert_frame_equal(*tables)
    initial = Simulation.build(tiny.config(tmp_path, name)).model.state_dict()
    final = weights(runs[0])
    assert any(not np.array_equal(final[k], v.numpy()) for k, v in initial.items())
    for key, value in initial.items():
        assert final[key].dtype == value.numpy().dtype, key
        assert np.isfinite(final[key]).all(), key
    assert runs[0].summary["metrics"]["accuracy"]["n"] == 6


@pytest.mark.parametrize("name", STRATEGIES)
def test_resuming_gives_the_same_end(name, tmp_path):
    straight = Simulation.build(tiny.config(tmp_path / "straight", name)).run()
    short = Simulation.build(tiny.config(tmp_path / "short", name, rounds=2)).run()
    resumed = Simulation.resume(short.path, rounds=3)
    assert equal(weights(straight), weights(resumed))
    columns = ["round", "phase", "client", "metric", "value"]
    pd.testing.assert_frame_equal(straight.clients[columns], resumed.clients[columns])
    shutil.rmtree(tmp_path)


@pytest.mark.parametrize("name", STRATEGIES)
def test_a_client_with_a_single_sample_takes_part(name, tmp_path):
    data = {
        "name": "digits",
        "clients": 4,
        "max_samples": 61,
        "partition": {"name": "size", "sizes": [1, 20, 20, 20]},
        "test_fraction": 0.0,
    }
    config = tiny.config(tmp_path, name, data=data, rounds=2)
    run = Simulation.build(config).run()
    trained = run.clients[run.clients.phase == "train"]
    assert set(trained.client) == {0, 1, 2, 3}
    assert all(np.isfinite(value).all() for value in weights(run).values())
