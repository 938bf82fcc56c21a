"""Runs that start from weights of another run, and runs that train nothing."""

import json

import numpy as np
import pytest
from safetensors.numpy import save_file

from fedzda.base import UserError
from fedzda.platform import checkpoint
from fedzda.platform.config.load import from_dict
from fedzda.platform.simulation import Simulation

DATA = {
    "name": "digits",
    "clients": 4,
    "max_samples": 200,
    "partition": {"name": "iid"},
    "test_fraction": 0.25,
}
SIX = {**DATA, "classes": [0, 1, 2, 3, 4, 5]}
GROWING = {
    "name": "class-incremental",
    "base_classes": 6,
    "classes_per_phase": 2,
    "order_seed": None,
    "base_rounds": 0,
}


def build(output, **changes):
    raw = {
        "name": "start",
        "rounds": 1,
        "data": DATA,
        "model": {"name": "lenet-bn", "width": 4},
        "strategy": {"name": "fed-avg"},
        "engine": {"name": "inline"},
        "output": str(output),
        "report": False,
        **changes,
    }
    return Simulation.build(from_dict(raw), output)


def weights(run):
    return checkpoint.load_latest(run.path / "checkpoints").arrays


@pytest.fixture(scope="module")
def first(tmp_path_factory):
    """A run on six classes."""
    return build(tmp_path_factory.mktemp("first"), data=SIX, rounds=2).run()


def test_without_rounds_the_model_is_tested_and_nothing_else(first, tmp_path):
    tested = build(tmp_path, data=SIX, rounds=0, start_from=str(first.path)).run()
    before, after = weights(first), weights(tested)
    assert all(np.array_equal(before[name], after[name]) for name in before)
    assert (
        tested.summary["metrics"]["accuracy"]["mean"]
        == (first.summary["metrics"]["accuracy"]["mean"])
    )
    assert tested.summary["global_test"] == first.summary["global_test"]
    assert set(tested.clients.phase) == {"evaluate"}
    assert list(tested.rounds["round"]) == [0]
    assert tested.summary["bytes"]["up"] < 1000


def test_a_file_of_weights_will_do(first, tmp_path):
    save_file(weights(first), tmp_path / "weights.safetensors")
    by_file = build(tmp_path, data=SIX, start_from="weights.safetensors").run()
    by_run = build(tmp_path, data=SIX, start_from=str(first.path)).run()
    one, two = weights(by_file), weights(by_run)
    assert all(np.array_equal(one[name], two[name]) for name in one)
    fresh = weights(build(tmp_path, data=SIX).run())
    assert any(not np.array_equal(one[name], fresh[name]) for name in one)


def test_classes_to_come_get_fresh_rows(first, tmp_path):
    growing = build(tmp_path, scenario=GROWING, rounds=2, start_from=str(first.path))
    fresh = growing.model.state_dict()
    run = growing.run()
    kept = growing._initial(None)
    from fedzda.platform.records import arrays_of

    begun, known = arrays_of(kept), weights(first)
    name = next(n for n, v in known.items() if v.ndim == 2 and v.shape[0] == 6)
    np.testing.assert_array_equal(begun[name][:6], known[name])
    np.testing.assert_array_equal(begun[name][6:], fresh[name][6:].numpy())
    trained = run.clients[(run.clients.phase == "train") & (run.clients.metric == "loss")]
    assert list(run.rounds["round"]) == [1, 2]
    assert trained.num_examples.max() < 30  # a fifth of 150 samples over four clients


def test_the_base_phase_of_another_run_is_tested_too(first, tmp_path):
    off = {"enabled": False}
    method = {"name": "fed-dfgr", "base": "fine-tune", "dfgr": off, "dtid": off}
    run = build(
        tmp_path, scenario=GROWING, strategy=method, rounds=2, start_from=str(first.path)
    ).run()
    found = json.loads((run.path / "artifacts" / "incremental.json").read_text())
    assert (found["classes_seen"], found["last_rounds"]) == ([6, 8, 10], [0, 1, 2])
    assert found["accuracy"][0] == pytest.approx(first.summary["global_test"]["accuracy"])


def test_weights_that_do_not_fit(first, tmp_path):
    def said(**changes):
        with pytest.raises(UserError) as caught:
            build(tmp_path, **changes)
        return str(caught.value)

    start = str(first.path)
    assert "has shape (6," in said(start_from=start)
    assert "is of another model" in said(start_from=start, data=SIX, model={"name": "mlp"})
    assert "nothing is there" in said(start_from="gone.safetensors")
    (tmp_path / "bad.safetensors").write_bytes(b"no")
    assert "cannot be read as safetensors" in said(start_from="bad.safetensors")
    other = {**SIX, "classes": [5, 4, 3, 2, 1, 0]}
    assert "Give both the same order" in said(start_from=start, data=other)
    assert "base_rounds' is 0, so the model must know" in said(scenario=GROWING)
    keeping = {**GROWING, "exemplars_per_class": 2}
    assert "keeps exemplars of them" in said(scenario=keeping, start_from=start)
