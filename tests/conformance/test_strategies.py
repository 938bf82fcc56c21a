"""What every registered strategy must do, ours and Flower's alike; the rules are those of
``fedzda check``."""

import shutil

import numpy as np
import pytest

from fedzda.platform.catalog import CATALOG
from fedzda.platform.conformance import runs
from fedzda.platform.simulation import Simulation

from . import played, tiny

STRATEGIES = sorted(CATALOG["strategies"])
KEEPS_STATE = {"local-only", "ditto", "fed-bn", "scaffold", "moon", "fed-cog"}
"""Strategies whose clients keep something from round to round."""


@pytest.mark.parametrize("name", STRATEGIES)
def test_runs_learns_resumes_and_is_deterministic(name, tmp_path):
    """Until it is resumed, the run that stops early is a second run of the same."""
    run = played.run(tmp_path, name)
    runs.resumes(run)
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
