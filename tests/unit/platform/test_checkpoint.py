import json
import math
import shutil

import numpy as np
import pytest
import torch
from flwr.serverapp.strategy import DifferentialPrivacyServerSideFixedClipping, FedAdam

from fedzda.platform import checkpoint as checkpoints
from fedzda.platform import state_codec
from fedzda.platform.checkpoint import Checkpoint
from fedzda.platform.records import Content, array_record, arrays_of


def make(round_: int) -> Checkpoint:
    return Checkpoint(
        round=round_,
        arrays={"w": np.full((2, 3), round_, np.float32), "n": np.array(7, np.int64)},
        strategy={"generator": {"a": torch.arange(4.0)}, "empty": None, "pair": (1, math.inf)},
        clients={3: Content(arrays={"own": {"b": np.ones(2)}}, metrics={"m": {"x": 0.5}})},
        totals={"seconds": {"train": 1.25}, "down": 5},
    )


def test_round_trip_is_exact(tmp_path):
    checkpoints.save(tmp_path, make(4), keep=2)
    found = checkpoints.load_latest(tmp_path)
    assert found.round == 4
    assert found.arrays["n"].shape == ()
    assert list(found.arrays) == ["w", "n"]
    assert np.array_equal(found.arrays["w"], make(4).arrays["w"])
    assert torch.equal(found.strategy["generator"]["a"], torch.arange(4.0))
    assert found.strategy["pair"] == (1, math.inf)
    assert np.array_equal(found.clients[3].arrays["own"]["b"], np.ones(2))
    assert found.clients[3].metrics == {"m": {"x": 0.5}}
    assert found.totals == make(4).totals


def test_only_the_newest_are_kept_and_a_damaged_one_is_passed_over(tmp_path):
    for round_ in (1, 2, 3):
        checkpoints.save(tmp_path, make(round_), keep=2)
    assert [p.name for p in sorted(tmp_path.glob("round-*"))] == ["round-000002", "round-000003"]
    (tmp_path / "round-000003" / "arrays.safetensors").write_bytes(b"half a file")
    assert checkpoints.load_latest(tmp_path).round == 2


def test_a_failed_write_leaves_the_last_good_one(tmp_path):
    checkpoints.save(tmp_path, make(1), keep=2)
    bad = make(2)
    bad.strategy["what"] = object()
    with pytest.raises(TypeError, match="cannot hold a object"):
        checkpoints.save(tmp_path, bad, keep=2)
    assert checkpoints.load_latest(tmp_path).round == 1
    assert sorted(p.name for p in tmp_path.iterdir()) == ["latest", "round-000001"]


def test_state_of_flowers_strategies_survives():
    inner = FedAdam()
    inner.m_t = {"w": np.arange(3.0)}
    inner.current_arrays = array_record({"w": np.ones(3, np.float32)})
    wrapper = DifferentialPrivacyServerSideFixedClipping(inner, 1.0, 0.5, 10)
    tensors: dict = {}
    tree = json.loads(json.dumps(state_codec.encode(state_codec.state_of(wrapper), tensors)))
    fresh = DifferentialPrivacyServerSideFixedClipping(FedAdam(), 1.0, 0.5, 10)
    state_codec.restore(fresh, state_codec.decode(tree, tensors))
    assert np.array_equal(fresh.strategy.m_t["w"], np.arange(3.0))
    assert np.array_equal(arrays_of(fresh.strategy.current_arrays)["w"], np.ones(3))


def test_a_run_that_goes_on_from_before_a_damaged_one_keeps_what_it_makes(tmp_path):
    checkpoints.save(tmp_path, make(10), keep=1)
    (tmp_path / "round-000010" / "arrays.safetensors").write_bytes(b"half a file")
    checkpoints.save(tmp_path, make(1), keep=1)
    assert checkpoints.load_latest(tmp_path).round == checkpoints.newest_round(tmp_path) == 1
    assert [path.name for path in tmp_path.glob("round-*")] == ["round-000001"]


def test_copies_under_other_names_are_nobodys_checkpoints(tmp_path):
    checkpoints.save(tmp_path, make(1), keep=1)
    copy = tmp_path / "round-000001-backup"
    shutil.copytree(tmp_path / "round-000001", copy)
    checkpoints.save(tmp_path, make(2), keep=1)
    assert checkpoints.newest_round(tmp_path) == checkpoints.load_latest(tmp_path, 5).round == 2
    assert copy.is_dir()
