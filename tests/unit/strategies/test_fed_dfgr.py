"""Class-incremental learning in whole runs on digits: what a phase leaves alone, resume, limits."""

import json

import numpy as np
import pytest

from fedzda.base import UserError
from fedzda.platform import checkpoint
from fedzda.platform.config import plain
from fedzda.platform.config.load import from_dict
from fedzda.platform.simulation import Simulation

GENERATOR = {"name": "zs-cgan", "steps": 5, "batch_size": 20, "channels": 8}
OFF = {"enabled": False}
SCENARIO = {
    "name": "class-incremental",
    "base_classes": 4,
    "classes_per_phase": 3,
    "head": "cosine",
}


def config(output, scenario=None, strategy=None, **changes):
    own = {"name": "fed-dfgr", "dfgr": {"synthesizer": GENERATOR, "store": 40}}
    raw = {
        "name": "phases",
        "rounds": 3,
        "data": {"name": "digits", "clients": 1, "max_samples": 300, "test_fraction": 0.25},
        "model": {"name": "lenet-bn", "width": 4},
        "scenario": {**SCENARIO, **(scenario or {})},
        "local": {"epochs": 3, "batch_size": 16, "optimizer": {"name": "sgd", "momentum": 0.9}},
        "strategy": {**own, **(strategy or {})},
        "engine": {"name": "inline"},
        "output": str(output),
        "report": False,
    }
    raw.update(changes)
    return from_dict(raw)


def played(output, **changes):
    run = Simulation.build(config(output, **changes)).run()
    return run, checkpoint.load_latest(run.path / "checkpoints")


def phases(run):
    return json.loads((run.path / "artifacts" / "incremental.json").read_text())


def federated(**changes):
    data = {
        "name": "digits",
        "clients": 3,
        "max_samples": 300,
        "partition": {"name": "dirichlet", "alpha": 0.3},
        "test_fraction": 0.25,
    }
    return {"data": data, "scenario": {"base_rounds": 2, "rounds_per_phase": 3}, **changes}


def test_a_run_is_repeatable_and_its_figures_are_complete(tmp_path):
    first, end = played(tmp_path)
    second, again = played(tmp_path)
    found = phases(first)
    assert found == phases(second)
    assert all(np.array_equal(end.arrays[k], again.arrays[k]) for k in end.arrays)
    assert found["classes_seen"] == [4, 7, 10]
    assert found["last_rounds"] == [1, 2, 3]
    assert len(found["accuracy"]) == 3
    assert found["accuracy"][0] > 0.5
    assert (first.path / "artifacts" / "samples-round-000003.png").exists()
    assert first.summary["global_test"]["accuracy"] == pytest.approx(found["last"])


def test_old_embeddings_do_not_move(tmp_path):
    run = Simulation.build(config(tmp_path, checkpoint={"keep": 3})).run()
    found = [checkpoint.load(p) for p in sorted((run.path / "checkpoints").glob("round-*"))]
    weights = [each.arrays["classifier.weight"] for each in found]
    assert np.array_equal(weights[0][:4], weights[1][:4])
    assert np.array_equal(weights[1][:7], weights[2][:7])
    assert not np.array_equal(weights[0][4:7], weights[1][4:7])
    # the frozen model of the phase before is the one that the phase ended with, buffers included
    old = found[1].strategy["old"]
    assert all(np.array_equal(old[k], found[0].arrays[k]) for k in old)


def test_the_generator_knows_old_classes_alone(tmp_path):
    _, end = played(tmp_path, rounds=2)
    assert end.strategy["generator"]["embedding.weight"].shape[0] == 4
    _, end = played(tmp_path)
    assert end.strategy["generator"]["embedding.weight"].shape[0] == 7


def test_resuming_inside_a_phase_gives_the_same_end(tmp_path):
    strategy = {"dtid": {"teacher_rounds": 1}, "dfgr": {"synthesizer": GENERATOR, "store": 20}}
    scenario = {"base_rounds": 2, "rounds_per_phase": 3, "exemplars_per_class": 2}
    changes = federated(strategy=strategy, scenario=scenario)
    straight, end = played(tmp_path / "straight", rounds=8, **changes)
    short = Simulation.build(config(tmp_path / "short", rounds=4, **changes)).run()
    resumed = Simulation.resume(short.path, rounds=8)
    found = checkpoint.load_latest(resumed.path / "checkpoints")
    assert phases(straight) == phases(resumed)
    assert all(np.array_equal(end.arrays[k], found.arrays[k]) for k in end.arrays)
    for client, state in end.clients.items():
        for name, rows in state.arrays["exemplars"].items():
            assert np.array_equal(rows, found.clients[client].arrays["exemplars"][name])


def test_own_teachers_and_regressors_go_with_their_phase(tmp_path):
    _, middle = played(tmp_path, rounds=4, **federated())
    kept = [set(state.arrays) for state in middle.clients.values()]
    assert {"second-teacher", "regressors"} in kept
    _, end = played(tmp_path, rounds=5, **federated())
    assert not any("second-teacher" in state.arrays for state in end.clients.values())


def test_exemplars_are_the_clients_own(tmp_path):
    changes = federated(scenario={"exemplars_per_class": 3, "rounds_per_phase": 1})
    simulation = Simulation.build(config(tmp_path, **changes))
    end = checkpoint.load_latest(simulation.run().path / "checkpoints")
    federation = simulation.federation
    assert end.clients
    for client, state in end.clients.items():
        own = set(federation.indices(client, "train").tolist())
        for label, rows in state.arrays["exemplars"].items():
            assert len(rows) <= 3
            assert set(rows.tolist()) <= own
            assert set(federation.train["label"][rows]) == {int(label)}


@pytest.mark.parametrize(
    "strategy",
    [
        {"base": "lwf"},
        {"base": "icarl"},
        {"base": "joint", "dfgr": OFF, "dtid": OFF},
        {"base": "abd-like", "dtid": OFF},
        {"base": "r-dfcil-like", "dtid": OFF},
        {"base": "fine-tune", "dtid": OFF, "dfgr": {"images": "noise"}},
        {"base": "lwf", "dtid": {"regressor": "joint", "distance": "mse", "inputs_old": "all"}},
        {
            "base": "fine-tune",
            "dtid": {"teacher_init": "scratch", "layers": ["features.7"]},
            "dfgr": {
                "synthesizer": GENERATOR,
                "deliver": "samples",
                "sent_images": 30,
                "bn_forward": "separate",
                "bn_refresh": "replay",
            },
        },
    ],
    ids=lambda s: "-".join([s["base"], *sorted(set(s) - {"base"})]),
)
def test_every_arm_runs(strategy, tmp_path):
    dfgr = {"synthesizer": GENERATOR, "store": 20}
    strategy = {"dfgr": dfgr, "schedule": "steps", **strategy}
    run, end = played(
        tmp_path, scenario={"head": "linear", "phases": 1}, rounds=2, strategy=strategy
    )
    assert len(phases(run)["accuracy"]) == 2
    assert all(np.isfinite(value).all() for value in end.arrays.values())


def test_samples_cost_what_they_weigh(tmp_path):
    sizes = {}
    for deliver in ("generator", "samples"):
        dfgr = {"synthesizer": GENERATOR, "deliver": deliver, "sent_images": 50}
        run, end = played(tmp_path, rounds=2, strategy={"dfgr": dfgr, "dtid": OFF})
        sizes[deliver] = run.summary["bytes"]["down"]
    generator = sum(value.nbytes for value in end.strategy["generator"].values())
    samples = 50 * (8 * 8 + 8)  # a byte per pixel, eight per label
    assert sizes["samples"] - sizes["generator"] == samples - generator


def test_off_is_fed_avg(tmp_path):
    off = {"base": "fine-tune", "dfgr": OFF, "dtid": OFF}
    changes = federated(rounds=5)
    _, found = played(tmp_path, strategy=off, **changes)
    plainly = config(tmp_path, strategy=off, **changes).model_dump(mode="json")
    plainly["strategy"] = {"name": "fed-avg"}
    run = Simulation.build(from_dict(plainly)).run()
    reference = checkpoint.load_latest(run.path / "checkpoints")
    assert all(np.array_equal(reference.arrays[k], found.arrays[k]) for k in found.arrays)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"scenario": {"head": "linear"}}, "'strategy.base' is 'lucir', which compares cosines"),
        ({"model": {"name": "lenet-bn", "norm": "group"}}, "BatchNorm"),
        ({"rounds": 4}, "rounds is 4, but the scenario has 3 phases of 3 rounds together"),
        (
            {"scenario": {"exemplars_total": 9}},
            "scenario.exemplars_total is 9, which leaves a client less than one sample for each of "
            "10 classes",
        ),
        (
            {"strategy": {"dtid": {"layers": ["stage1"]}}},
            "strategy.dtid.layers names 'stage1', which model LeNetBN does not have",
        ),
        (
            {"model": {"name": "cnn"}, "strategy": {"dfgr": OFF}},
            "strategy.dtid.layers is left out, and model CNN does not name its stages",
        ),
    ],
)
def test_bad_input_is_found_before_the_run_starts(changes, words, tmp_path):
    with pytest.raises(UserError, match=words):
        Simulation.build(config(tmp_path, **changes))


def test_a_round_without_samples_of_its_phase_leaves_the_model_as_it_is(tmp_path):
    raw = plain(config(tmp_path, **federated(rounds=8)))
    raw["strategy"] = {"name": "fed-avg", "clients_per_round": 1}
    raw["data"] |= {"clients": 5, "partition": {"name": "pathological", "classes_per_client": 2}}
    run = Simulation.build(from_dict(raw)).run()
    trained = run.clients[run.clients.phase == "train"].groupby("round").num_examples.max()
    assert 0 < (trained == 0).sum() < 8
    assert run.summary["state"] == "finished"


def test_a_phase_is_tested_where_nobody_had_samples_in_its_last_round(tmp_path):
    raw = plain(config(tmp_path, **federated(rounds=8)))
    raw["strategy"] |= {"base": "fine-tune", "dfgr": OFF, "dtid": OFF, "clients_per_round": 1}
    raw["data"] |= {"clients": 5, "partition": {"name": "pathological", "classes_per_client": 2}}
    run = Simulation.build(from_dict(raw)).run()
    trained = run.clients[run.clients.phase == "train"].groupby("round").num_examples.max()
    found = phases(run)
    assert found["last_rounds"] == [2, 5, 8]
    assert any(trained[round_] == 0 for round_ in found["last_rounds"])
    assert len(found["accuracy"]) == 3


def test_the_nearest_mean_stands_beside_the_classifier(tmp_path):
    scenario = {"exemplars_per_class": 3, "rounds_per_phase": 1}
    run, _ = played(tmp_path, **federated(scenario=scenario, strategy={"dfgr": OFF, "dtid": OFF}))
    found = phases(run)
    assert found["rule"] == "classifier"
    assert len(found["accuracy_nme"]) == len(found["accuracy"]) == 3
    assert found["last_nme"] == found["accuracy_nme"][-1]
    assert found["average_nme"] == pytest.approx(np.mean(found["accuracy_nme"]))
    assert found["accuracy_nme"][0] > 0.5
    assert found["accuracy_nme"] != found["accuracy"]
    rows = [json.loads(line) for line in (run.path / "rounds.jsonl").open()]
    assert rows[-1]["server"]["phase-accuracy_nme"] == found["last_nme"]
    assert run.summary["global_test"]["accuracy"] == pytest.approx(found["last"])


def test_asking_for_means_costs_a_download_and_changes_nothing(tmp_path):
    off = {"base": "fine-tune", "dfgr": OFF, "dtid": OFF}
    plain_run, without = played(tmp_path / "without", **federated(rounds=2, strategy=off))
    scenario = {"base_rounds": 2, "rounds_per_phase": 3, "exemplars_per_class": 2}
    changes = federated(rounds=2, strategy=off, scenario=scenario)
    run, asked = played(tmp_path / "with", **changes)
    assert all(np.array_equal(without.arrays[k], asked.arrays[k]) for k in asked.arrays)
    assert not asked.clients  # the question left nothing behind
    model = sum(value.nbytes for value in asked.arrays.values())
    before, after = (r.summary["bytes"] for r in (plain_run, run))
    # three clients received the model once more, beside some bytes of the request
    assert 0 <= after["down"] - before["down"] - 3 * model < 1000
    assert 0 <= after["up"] - before["up"] - 3 * 4 * 16 * 4 < 1000  # clients x classes x features


def test_icarl_classifies_by_the_nearest_mean(tmp_path):
    scenario = {"exemplars_per_class": 4, "head": "linear"}
    strategy = {"base": "icarl", "dfgr": OFF, "dtid": OFF}
    run, _ = played(tmp_path, **federated(scenario=scenario, strategy=strategy))
    found = phases(run)
    assert found["rule"] == "nearest-mean"
    assert set(found) >= {"accuracy_classifier", "average_classifier", "last_classifier"}
    assert found["last_classifier"] == pytest.approx(run.summary["global_test"]["accuracy"])
    # the clients' loss is that of cosines, which cannot be far from that of a guess
    tested = run.clients[run.clients.phase == "evaluate"]
    losses = tested[tested.metric == "loss"].value.dropna()
    assert len(losses) > 0
    assert losses.between(np.log(4) - 2, np.log(10) + 2).all()


def test_new_rows_are_imprinted_when_the_student_begins(tmp_path):
    """Also where rounds of the second teacher come first."""
    rows = []
    for imprint in (True, False):
        strategy = {"imprint": imprint, "dtid": {"teacher_rounds": 1}}
        still = {"epochs": 1, "optimizer": {"name": "sgd", "lr": 1e-9}}
        scenario = {"base_rounds": 1, "rounds_per_phase": 2}
        _, end = played(tmp_path, strategy=strategy, scenario=scenario, local=still, rounds=3)
        rows.append(end.arrays["classifier.weight"])
    assert np.allclose(rows[0][:4], rows[1][:4], atol=1e-5)
    assert np.abs(rows[0][4:7] - rows[1][4:7]).max() > 0.01


def test_joint_training_is_on_all_that_a_client_holds(tmp_path):
    changes = federated(strategy={"base": "joint", "dfgr": OFF, "dtid": OFF})
    changes["data"]["partition"] = {"name": "pathological", "classes_per_client": 4}
    simulation = Simulation.build(config(tmp_path, rounds=8, **changes))
    run = simulation.run()
    counts_NC = simulation.federation.label_counts("train")
    table = run.clients[(run.clients.phase == "train") & (run.clients.metric == "loss")]
    for row in table.itertuples():
        seen = 4 if row.round <= 2 else 7 if row.round <= 5 else 10
        assert row.num_examples == counts_NC[row.client][:seen].sum()
    assert (table.num_examples > 0).mean() > 0.9


def test_a_run_that_stops_early_is_tested_on_the_classes_that_came(tmp_path):
    stop = {"metric": "accuracy", "target": 0.05}
    run, _ = played(tmp_path, stop=stop, evaluate={"every": 1})
    assert run.summary["rounds"] == 1
    assert run.summary["global_test"]["accuracy"] == pytest.approx(phases(run)["last"])
