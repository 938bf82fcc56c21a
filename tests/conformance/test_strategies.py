"""What every registered strategy must do, ours and Flower's alike; the rules are those of
``fedzda check``."""

import shutil

import numpy as np
import pandas as pd
import pytest

from fedzda.platform.catalog import CATALOG
from fedzda.platform.conformance import runs
from fedzda.platform.simulation import Simulation

from . import tiny
from .played import same

STRATEGIES = sorted(CATALOG["strategies"])
KEEPS_STATE = {"local-only", "ditto", "fed-bn", "scaffold", "moon", "fed-cog"}
"""Strategies whose clients keep something from round to round."""


@pytest.mark.parametrize("name", STRATEGIES)
def test_runs_learns_resumes_and_is_deterministic(name, tmp_path):
    """Until it is resumed, the run that stops early is a second run of the same."""
    run = runs.resumes(tiny.config(tmp_path, name))
    runs.sound(run)
    initial = Simulation.build(tiny.config(tmp_path, name)).model.state_dict()
    final = runs.last(run).arrays
    if name in KEEPS_STATE:
        assert runs.last(run).clients
    if name != "local-only":
        assert any(not np.array_equal(final[k], v.numpy()) for k, v in initial.items())
    assert run.summary["metrics"]["accuracy"]["n"] == 6
    shutil.rmtree(tmp_path)


@pytest.mark.parametrize("name", STRATEGIES)
def test_a_client_with_a_single_sample_takes_part(name, tmp_path):
    run = runs.single_sample(tiny.config(tmp_path, name, rounds=2))
    trained = run.clients[run.clients.phase == "train"]
    if name == "centralised":
        assert set(trained.num_examples) == {61}
    else:
        assert set(trained.client) == {0, 1, 2, 3}


@pytest.fixture(scope="module")
def ray_started():
    """One Ray for all: starting it takes longer than these runs."""
    import ray

    from fedzda.platform.config import RayConfig
    from fedzda.platform.engines.cluster import start_local

    start_local(RayConfig(workers=2))
    yield
    ray.shutdown()


# one of each kind: means, jobs at the clients and at the server, client state, all models kept
ON_RAY = ["fed-avg", "fed-zda", "ditto", "scaffold", "fed-mgda"]
OWN = [name for name in STRATEGIES if not name.startswith("flwr")]


@pytest.mark.e2e
@pytest.mark.parametrize(
    "name",
    [name if name in ON_RAY else pytest.param(name, marks=pytest.mark.regression) for name in OWN],
)
def test_engines_agree_to_the_last_bit(name, tmp_path, ray_started):
    inline = Simulation.build(tiny.config(tmp_path, name, rounds=2)).run()
    engine = {"name": "ray", "workers": 2}
    ray = Simulation.build(tiny.config(tmp_path, name, rounds=2, engine=engine)).run()
    assert same(runs.weights(inline), runs.weights(ray))
    columns = ["round", "phase", "client", "stage", "metric", "value", "bytes_down", "bytes_up"]
    pd.testing.assert_frame_equal(inline.clients[columns], ray.clients[columns])
