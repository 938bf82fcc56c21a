"""The same simulation on every engine: bit for bit inline and on Ray, close on Flower's engine."""

import numpy as np
import pandas as pd
import pytest

from fedzda.platform import checkpoint
from fedzda.platform.config.load import load_config
from fedzda.platform.simulation import Simulation

pytestmark = pytest.mark.e2e
COLUMNS = ["round", "phase", "client", "split", "metric", "value", "bytes_down", "bytes_up"]


def run(output, engine, *more):
    overrides = [
        "rounds=4",
        "strategy.synthesizer.steps=10",
        "strategy.gate_agreement=0.0",
        "strategy.start_round=2",
        "report=false",
        f"output={output}",
        f"engine={engine}",
        *more,
    ]
    loaded = load_config("quickstart", overrides)
    return Simulation.build(loaded.config, loaded.folder, overrides).run()


def weights(found):
    return checkpoint.load_latest(found.path / "checkpoints").arrays


@pytest.fixture(scope="module")
def inline(tmp_path_factory):
    return run(tmp_path_factory.mktemp("inline"), "{name: inline}")


@pytest.mark.parametrize(
    "engine",
    ["{name: inline}", "{name: ray, workers: 1}", "{name: ray, workers: 2}"],
)
def test_quickstart_is_bitwise_the_same(inline, tmp_path, engine):
    found = run(tmp_path, engine)
    first, second = weights(inline), weights(found)
    assert first.keys() == second.keys()
    for name, value in first.items():
        assert np.array_equal(value, second[name]), name
    pd.testing.assert_frame_equal(inline.clients[COLUMNS], found.clients[COLUMNS])
    assert inline.summary["metrics"] == found.summary["metrics"]


def test_another_seed_gives_another_result(inline, tmp_path):
    found = run(tmp_path, "{name: inline}", "seed=1")
    assert not np.array_equal(
        weights(inline)["features.0.weight"], weights(found)["features.0.weight"]
    )


def test_flowers_own_engine_agrees(tmp_path):
    ours = run(tmp_path, "{name: inline}", "rounds=2")
    flowers = run(tmp_path, "{name: flower, workers: 2}", "rounds=2")
    for name, value in weights(ours).items():
        np.testing.assert_allclose(value, weights(flowers)[name], rtol=1e-3, atol=1e-4)
    assert set(ours.clients.metric) == set(flowers.clients.metric)
