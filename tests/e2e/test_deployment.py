"""``fedzda export app``: the same simulation on a real SuperLink with SuperNodes, on loopback."""

import numpy as np
import pytest
from typer.testing import CliRunner

import fedzda
from fedzda.platform import checkpoint
from fedzda.platform.cli.app import app

from .flower_federation import CONNECTION, federation

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(400)]
TWO = [
    *("rounds=2", "data.clients=2", "data.partition={name: iid}", "data.max_samples=200"),
    *("strategy={name: fed-avg}", "evaluate.every=0", "report=false"),
]
TOLERANCE = 1e-6
"""Largest difference of a weight: the server adds the models up in float64 in both cases."""


def call(*arguments):
    return CliRunner().invoke(app, list(arguments))


def played(folder, **how):
    """The run of the exported app on a SuperLink and two SuperNodes, and what Flower printed."""
    written = call("export", "app", "quickstart-fed-avg", "exported", *TWO)
    assert written.exit_code == 0, written.output
    assert "start 2 SuperNodes" in written.output
    with federation(folder, ["partition-id=1", "partition-id=0"], **how) as running:
        said = running.flwr("run", "exported", CONNECTION, "--stream")
    runs = list((folder / "runs").glob("*"))
    assert len(runs) == 1, said + running.logs()
    return fedzda.load(runs[0]), said + running.logs()


def weights(run):
    return checkpoint.load_latest(run.path / "checkpoints").arrays


def test_a_deployed_simulation_ends_with_the_weights_of_the_simulation(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    deployed, said = played(tmp_path)
    assert deployed.status["state"] == "finished", said
    assert "round 2/2" in said
    simulated = call("run", "quickstart-fed-avg", *TWO, "engine={name: inline}", "output=plain")
    assert simulated.exit_code == 0, simulated.output
    other = fedzda.load(next((tmp_path / "plain").iterdir()))
    found, wanted = weights(deployed), weights(other)
    assert found.keys() == wanted.keys()
    for name, value in found.items():
        assert np.abs(value - wanted[name]).max() <= TOLERANCE, name
    columns = ["round", "client", "metric", "value", "num_examples"]
    tables = [run.clients[columns].sort_values(columns[:3]) for run in (deployed, other)]
    np.testing.assert_allclose(tables[0].value, tables[1].value, atol=1e-5)
    assert tables[0].client.tolist() == tables[1].client.tolist()


@pytest.mark.regression
def test_with_tls_and_supernodes_that_are_known_by_key(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    deployed, said = played(tmp_path, secure=True)
    assert deployed.status["state"] == "finished", said
    assert "SuperNode authentication is disabled" not in said
