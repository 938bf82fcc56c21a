"""Encoding and decoding of updates, and the bytes they take."""

import numpy as np
import pytest

from fedzda.base import RunError
from fedzda.clients.uplink.config import FP16Config, QSGDConfig, TopKConfig
from fedzda.clients.uplink.fp16 import FP16
from fedzda.clients.uplink.qsgd import QSGD
from fedzda.clients.uplink.top_k import TopK
from fedzda.platform.config.load import from_dict
from fedzda.platform.simulation import Simulation


def rng(seed=0):
    return np.random.default_rng(seed)


def update(num=1000, seed=0):
    return rng(seed).standard_normal(num).astype(np.float32)


def through(compressor, values, seed=0):
    return compressor.decode(compressor.encode(values, rng(seed)), len(values))


ALL = [
    TopK(TopKConfig(fraction=0.01)),
    TopK(TopKConfig(fraction=0.5)),
    TopK(TopKConfig(fraction=0.8)),
    QSGD(QSGDConfig(bits=2, bucket=64)),
    QSGD(QSGDConfig(bits=4)),
    QSGD(QSGDConfig(bits=5, bucket=7)),
    QSGD(QSGDConfig(bits=16)),
    FP16(FP16Config()),
]


@pytest.mark.parametrize("compressor", ALL, ids=lambda c: str(c.config))
@pytest.mark.parametrize("num", [1, 3, 512, 1001])
def test_the_size_is_known_before_the_update_is(compressor, num):
    encoded = compressor.encode(update(num), rng())
    assert sum(array.nbytes for array in encoded.values()) == compressor.config.encoded_bytes(num)
    decoded = compressor.decode(encoded, num)
    assert decoded.shape == (num,)
    assert decoded.dtype == np.float32


def test_top_k_by_hand():
    values = np.array([0.5, -3.0, 1.0, 2.0, -0.1], np.float32)
    found = through(TopK(TopKConfig(fraction=0.4)), values)
    assert found.tolist() == [0.0, -3.0, 0.0, 2.0, 0.0]
    tied = np.array([1.0, -1.0, 1.0, 0.5], np.float32)
    assert through(TopK(TopKConfig(fraction=0.5)), tied).tolist() == [1.0, -1.0, 0.0, 0.0]
    assert through(TopK(TopKConfig(fraction=0.5)), np.zeros(4, np.float32)).tolist() == [0.0] * 4


def test_top_k_of_everything_is_lossless():
    assert TopK(TopKConfig(fraction=1.0)).lossless(1000)
    assert not TopK(TopKConfig(fraction=0.99)).lossless(1000)
    assert TopKConfig(fraction=1.0).encoded_bytes(1000) == 4000


def test_qsgd_has_no_bias():
    values = update(64)
    compressor = QSGD(QSGDConfig(bits=3, bucket=32))
    draws = np.array([through(compressor, values, seed) for seed in range(4000)], np.float64)
    error = draws.mean(axis=0) - values
    spread = draws.std(axis=0) / np.sqrt(len(draws))
    assert (np.abs(error) < 5 * spread + 1e-6).all()
    assert np.abs(error).max() < 0.1


def test_qsgd_levels_are_those_of_its_bucket():
    values = np.array([3.0, 4.0, 0.0, 0.0, -2.0], np.float32)
    compressor = QSGD(QSGDConfig(bits=3, bucket=2))  # levels 0 to 3; norms 5, 0 and 2
    for seed in range(20):
        found = through(compressor, values, seed)
        assert found[0] in np.float32([5 / 3, 10 / 3])
        assert found[1] in np.float32([10 / 3, 5.0])
        assert found[2:].tolist() == [0.0, 0.0, -2.0]


def test_qsgd_with_many_bits_is_nearly_exact():
    values = update()
    norm = np.linalg.norm(values)
    found = through(QSGD(QSGDConfig(bits=16, bucket=1000)), values)
    assert np.abs(found - values).max() <= norm / (2**15 - 1) * 1.001


def test_fp16_rounds_and_does_not_overflow():
    values = np.array([1.0, 1 / 3, -1e9], np.float32)
    found = through(FP16(FP16Config()), values)
    assert found.tolist() == [1.0, float(np.float16(1 / 3)), -65504.0]


@pytest.mark.parametrize("uplink", [{"name": "top-k"}, {"name": "fp16"}])
def test_training_that_diverged_is_not_hidden(tmp_path, monkeypatch, uplink):
    monkeypatch.setenv("FEDZDA_CACHE", str(tmp_path / "cache"))
    raw = {
        "name": "diverging",
        "rounds": 1,
        "data": {"name": "digits", "clients": 2, "max_samples": 60},
        "model": {"name": "mlp", "hidden": [8]},
        "local": {"optimizer": {"name": "sgd", "lr": 1e30}, "epochs": 3},
        "strategy": {"name": "fed-avg"},
        "engine": {"name": "inline"},
        "uplink": uplink,
        "output": str(tmp_path / "runs"),
        "report": False,
    }
    with pytest.raises(RunError, match="NaN or infinite"):
        Simulation.build(from_dict(raw), folder=tmp_path).run()
