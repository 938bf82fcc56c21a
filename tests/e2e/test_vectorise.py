"""Clients trained at once give the run that they give one after the other, up to rounding."""

import numpy as np
import pytest

from fedzda.platform import checkpoint
from fedzda.platform.config.load import load_config
from fedzda.platform.simulation import Simulation

pytestmark = pytest.mark.e2e


def weights(output, *overrides):
    common = ["rounds=2", "report=false", f"output={output}"]
    loaded = load_config("quickstart-fed-avg", [*common, *overrides])
    run = Simulation.build(loaded.config, loaded.folder).run()
    return checkpoint.load_latest(run.path / "checkpoints").arrays


def test_vectorised_equals_sequential(tmp_path):
    both = [
        weights(tmp_path, f"engine={{name: inline, vectorise: {switch}}}", "data.clients=40")
        for switch in ("false", "true")
    ]
    assert any(not np.array_equal(value, both[1][name]) for name, value in both[0].items())
    for name, value in both[0].items():
        np.testing.assert_allclose(value, both[1][name], rtol=1e-3, atol=1e-4, err_msg=name)


def test_a_model_that_cannot_be_vectorised_still_trains(tmp_path, monkeypatch):
    (tmp_path / "dropping.py").write_text(
        "from torch import nn\n\n\n"
        "def net():\n"
        "    return nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(64, 10))\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    model = "model={target: 'dropping:net'}"
    both = [
        weights(tmp_path, f"engine={{name: inline, vectorise: {switch}}}", model)
        for switch in ("false", "true")
    ]
    for name, value in both[0].items():
        assert np.array_equal(value, both[1][name]), name
