"""The same simulation on every engine: bit for bit inline and on Ray, close on Flower's engine."""

import numpy as np
import pandas as pd
import pytest

from fedzda.platform import checkpoint
from fedzda.platform.config import FlowerConfig
from fedzda.platform.config.load import load_config
from fedzda.platform.engines.calls import Call, Chunk, HandlerSpec
from fedzda.platform.engines.flower import FlowerEngine
from fedzda.platform.records import Content
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


def test_flowers_own_engine_agrees(tmp_path):
    """Before the others: it starts a Ray of its own, and stops any that runs."""
    few = ("rounds=2", "data.clients=8", "strategy.clients_per_round=6")
    ours = run(tmp_path, "{name: inline}", *few)
    flowers = run(tmp_path, "{name: flower, workers: 2}", *few)
    for name, value in weights(ours).items():
        np.testing.assert_allclose(value, weights(flowers)[name], rtol=1e-3, atol=1e-4)
    assert set(ours.clients.metric) == set(flowers.clients.metric)


SEEING = """
import os

from fedzda.platform.engines.calls import Reply
from fedzda.platform.records import Content


class Handler:
    def handle(self, call):
        told = Content(metrics={"metrics": {"num-examples": 1}})
        return Reply(call.client, told, {"visible": os.environ.get("CUDA_VISIBLE_DEVICES")})
"""


def test_flowers_own_engine_hides_no_gpu_from_its_workers(tmp_path, monkeypatch):
    (tmp_path / "seeing.py").write_text(SEEING)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    spec = HandlerSpec("seeing:Handler", {}, (str(tmp_path),))
    engine = FlowerEngine(FlowerConfig(workers=1), spec, 0, 1)
    request = Content(configs={"config": {"server-round": 1}})
    try:
        engine.start()
        (result,) = engine.run([Chunk(0, [Call(0, "evaluate", 1, request, Content())], [1])])
    finally:
        engine.stop()
    assert result.replies[0].error is None
    assert result.replies[0].details["visible"] == "0"


@pytest.fixture(scope="module")
def inline(tmp_path_factory):
    return run(tmp_path_factory.mktemp("inline"), "{name: inline}")


@pytest.mark.parametrize(
    "engine",
    ["{name: inline}", "{name: ray, workers: 1}", "{name: ray, workers: 2}"],
)
def test_quickstart_is_bitwise_the_same(inline, running_ray, tmp_path, engine):
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
