"""Whole runs in which classes of devices have models of their own."""

import json

import numpy as np
import pandas as pd
import pytest

from fedzda.base import UserError
from fedzda.clients.classifiers import load_classifier
from fedzda.platform.config import plain
from fedzda.platform.config.load import from_dict
from fedzda.platform.simulation import Simulation

from . import played, tiny
from .played import same, weights

OWN = "architecture"
MLP = {"name": "architecture", "model": {"name": "mlp", "hidden": [16], "norm": "batch"}}
METHOD = "ensemble-distillation"


def devices(slow, fast=OWN, memory=1e9):
    """Slow devices with a variant, fast ones with another."""
    entries = [
        {**own, "variant": form} for own, form in zip(tiny.TWO_SPEEDS, (slow, fast), strict=True)
    ]
    entries[0]["profile"] = {**entries[0]["profile"], "memory": float(memory)}
    return {"name": "profiles", "profiles": entries}


APART = devices(MLP)


def strategy(**changes):
    return {"name": METHOD, "clients_per_round": 4, **tiny.EXTRA[METHOD], **changes}


def run(output, method=METHOD, **changes):
    return played.run(output, method, **changes)


def test_one_architecture_and_no_distillation_is_fed_avg_to_the_bit(tmp_path):
    plainly = run(tmp_path, "fed-avg", devices=tiny.TWO_SPEEDS)
    for method in (strategy(start_round=99), {"name": "fed-avg", "clients_per_round": 4}):
        found = run(tmp_path, devices=devices(OWN), strategy=method)
        assert same(weights(plainly), weights(found))
    columns = ["round", "client", "metric", "value", "bytes_down", "bytes_up", "virtual_sec"]
    rows = [own.clients[own.clients.phase == "train"] for own in (plainly, found)]
    pd.testing.assert_frame_equal(rows[0][columns], rows[1][columns])


def test_every_architecture_is_averaged_among_its_clients(tmp_path):
    """Each half of the devices by itself makes the model that it makes beside the other half."""
    alone = {"name": "fed-avg"}
    both = weights(run(tmp_path, devices=devices(MLP), strategy=alone))
    first = weights(run(tmp_path, devices=devices({**MLP, "train": False}), strategy=strategy(
        start_round=99, clients_per_round=3)))  # fmt: skip
    lenet = [name for name in both if not name.startswith("architectures.")]
    assert all(np.array_equal(both[name], first[name]) for name in lenet)
    start = Simulation.build(tiny.config(tmp_path, devices=devices(MLP))).model.state_dict()
    for name in set(both) - set(lenet):
        assert np.array_equal(first[name], start[name].numpy())
        assert not np.array_equal(both[name], first[name]) or not both[name].any()


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"members": "clients", "students": "others"},
        {"labels": "balanced", "ensemble": "uniform", "hard": "disagreement", "every": 2},
    ],
)
def test_runs_and_tells_who_had_what(changes, tmp_path):
    found = run(tmp_path, devices=devices(MLP), strategy=strategy(**changes))
    table, summary = found.clients, found.summary
    assert dict(table.groupby("device").variant.first()) == {"slow": "mlp", "fast": "full"}
    told = summary["by_device"]["slow"]["accuracy"]
    assert summary["by_variant"]["mlp"]["accuracy"] == told
    costs = summary["variants"]
    assert costs["mlp"]["macs"] < 0.1 * costs["full"]["macs"]
    trained = table[table.phase == "train"]
    for title, own in trained.groupby("variant"):
        assert set(own.bytes_up) == {costs[title]["bytes"]}
    rows = [json.loads(line) for line in (found.path / "rounds.jsonl").open()]
    told = ["distillation-student" in row["server"] for row in rows]
    assert told == [False, True, changes.get("every") != 2]
    classes = [metric for metric in trained.metric if metric.startswith("class-counts")]
    assert bool(classes) == ("labels" not in changes)
    images = list((found.path / "artifacts").glob("samples-round-*.png"))
    assert len(images) == 1


def test_resuming_changes_nothing(tmp_path):
    straight = run(tmp_path, devices=APART)
    short = run(tmp_path, devices=APART, rounds=2)
    assert same(weights(straight), weights(Simulation.resume(short.path, rounds=3)))


def test_who_does_not_train_is_taught(tmp_path):
    tested = {**MLP, "train": False}
    found = run(tmp_path, devices=devices(tested), strategy=strategy(clients_per_round=3))
    assert set(found.clients[found.clients.phase == "train"].device) == {"fast"}
    start = Simulation.build(tiny.config(tmp_path, devices=devices(MLP))).model.state_dict()
    name = "architectures.mlp.classifier.weight"
    assert not np.array_equal(weights(found)[name], start[name].numpy())


def test_commands_find_the_simulation_s_own_model(tmp_path):
    found = run(tmp_path, devices=devices(MLP), rounds=1)
    classifier = load_classifier(found.path)
    assert not any("architectures" in name for name in classifier.model.state_dict())


def test_one_architecture_is_taught_too(tmp_path):
    """Without devices it is FedFTG's setting: the average learns from the clients that made it."""
    found = run(tmp_path, strategy=strategy(members="clients"))
    apart = run(tmp_path, strategy={"name": "fed-avg", "clients_per_round": 4})
    assert weights(found).keys() == weights(apart).keys()
    assert not same(weights(found), weights(apart))
    with pytest.raises(UserError, match="no device has an architecture beside"):
        tiny.config(tmp_path, METHOD, strategy=strategy(students="others"))


def auto(*forms, **keys):
    return {"name": "auto", "forms": list(forms), **keys}


PLAIN = {"name": "fed-avg"}
TESTED = {**MLP, "train": False}
MLP_BYTES = 4 * (64 * 16 + 16 + 2 * 16 + 16 * 10 + 10)
"""Weights of the small one, with those of its BatchNorm; not its statistics."""


def test_auto_over_architectures_is_what_is_written_by_hand(tmp_path):
    """The slow devices hold the small one, and not the simulation's own."""
    chosen = run(tmp_path, devices=devices(auto(OWN, MLP), memory=1e5), strategy=PLAIN)
    hand = run(tmp_path, devices=devices(MLP, memory=1e5), strategy=PLAIN)
    assert same(weights(chosen), weights(hand))
    rows = [own.clients.drop(columns="seconds") for own in (chosen, hand)]
    pd.testing.assert_frame_equal(*rows)
    assert set(chosen.summary["variants"]) == {"full", "mlp"}
    short = run(tmp_path, devices=devices(auto(OWN, MLP), memory=1e5), strategy=PLAIN, rounds=2)
    assert same(weights(chosen), weights(Simulation.resume(short.path, rounds=3)))


def test_an_architecture_that_nobody_takes_stays_as_it_began(tmp_path):
    chosen = run(tmp_path, devices=devices(auto(OWN, MLP)), strategy=PLAIN)
    hand = run(tmp_path, devices=devices(OWN), strategy=PLAIN)
    found, expected = weights(chosen), weights(hand)
    assert same({name: found[name] for name in expected}, expected)
    start = Simulation.build(tiny.config(tmp_path, devices=devices(MLP))).model.state_dict()
    others = set(found) - set(expected)
    assert others
    assert all(np.array_equal(found[name], start[name].numpy()) for name in others)
    assert chosen.summary["by_device"] == hand.summary["by_device"]
    columns = ["round", "client", "metric", "value", "bytes_down", "bytes_up", "virtual_sec"]
    rows = [own.clients[own.clients.phase == "train"] for own in (chosen, hand)]
    pd.testing.assert_frame_equal(rows[0][columns], rows[1][columns])


def test_devices_that_no_architecture_fits_are_tested_on_the_simulations_own(tmp_path):
    few = {**PLAIN, "clients_per_round": 3}
    found = run(tmp_path, devices=devices(auto(OWN, MLP), memory=100), strategy=few)
    told = found.summary["variants"]
    assert set(told) == {"excluded", "full"}
    assert {**told["excluded"], "trains": True} == told["full"]
    assert found.summary["by_variant"]["excluded"]["accuracy"]["n"] == 3
    hand = run(tmp_path, devices=devices("excluded", memory=100), strategy=few)
    lenet = weights(hand)
    assert same(lenet, {name: weights(found)[name] for name in lenet})
    assert hand.summary["by_device"] == found.summary["by_device"]
    with pytest.raises(UserError, match="tested on the simulation's own model, which no device"):
        tiny.config(tmp_path, devices=devices(MLP, "excluded"))
    with pytest.raises(UserError, match=r"with the forms chosen .slow: excluded, fast: mlp., some"):
        Simulation.build(tiny.config(tmp_path, devices=devices(auto(OWN), MLP, memory=100)))


def test_an_architecture_that_is_chosen_must_be_taught(tmp_path):
    """Only the choice shows that nobody trains it."""
    entries = devices(auto(MLP, TESTED), memory=1.5 * MLP_BYTES)
    with pytest.raises(
        UserError, match=r"slow: mlp, fast: full.*no device trains the architecture"
    ):
        Simulation.build(tiny.config(tmp_path, devices=entries))
    with pytest.raises(UserError, match="no device trains the architecture"):
        Simulation.build(tiny.config(tmp_path, devices=devices(auto(MLP, TESTED, take=1))))
    found = run(tmp_path, devices=entries, strategy=strategy(clients_per_round=3))
    hand = devices(TESTED, memory=1.5 * MLP_BYTES)
    by_hand = run(tmp_path, devices=hand, strategy=strategy(clients_per_round=3))
    assert same(weights(found), weights(by_hand))


@pytest.mark.parametrize("members", ["averages", "clients"])
def test_distillation_over_what_is_chosen_is_what_is_written_by_hand(members, tmp_path):
    """Who has which architecture shows when the forms are chosen, before the first round."""
    method = strategy(members=members)
    chosen = run(tmp_path, devices=devices(auto(OWN, MLP), memory=1e5), strategy=method)
    hand = run(tmp_path, devices=devices(MLP, memory=1e5), strategy=method)
    assert same(weights(chosen), weights(hand))
    told = run(tmp_path, devices=devices(auto(OWN, MLP, take=1)), strategy=strategy())
    assert same(weights(told), weights(run(tmp_path, devices=devices(MLP), strategy=strategy())))
    if members == "averages":
        entries = devices(auto(OWN, MLP), memory=1e5)
        short = run(tmp_path, devices=entries, strategy=method, rounds=2)
        assert same(weights(chosen), weights(Simulation.resume(short.path, rounds=3)))


def test_architectures_that_nobody_takes_are_not_taught(tmp_path):
    chosen = run(tmp_path, devices=devices(auto(OWN, MLP)), strategy=strategy())
    hand = run(tmp_path, devices=devices(OWN), strategy=strategy())
    found, expected = weights(chosen), weights(hand)
    assert same({name: found[name] for name in expected}, expected)
    start = Simulation.build(tiny.config(tmp_path, devices=devices(MLP))).model.state_dict()
    assert all(np.array_equal(found[n], start[n].numpy()) for n in set(found) - set(expected))
    others = strategy(students="others")
    with pytest.raises(UserError, match=r"slow: full, fast: full.*no device has an architecture"):
        run(tmp_path, devices=devices(auto(OWN, MLP)), strategy=others)


def test_distillation_needs_whole_models(tmp_path):
    narrow = {"name": "width", "ratio": 0.5}
    with pytest.raises(UserError, match="some devices train variant 'width'"):
        tiny.config(tmp_path, METHOD, devices=devices(auto("full", narrow), "full"))


WRONG = [
    (devices({**MLP, "model": "lenet-bm"}), "no models named 'lenet-bm'. Did you mean 'lenet-bn'"),
    (devices({**MLP, "model": {"name": "mlp", "hiden": [4]}}), "model 'mlp': unknown key 'hiden'"),
    (devices({**MLP, "model": {"hidden": [4]}}), "a name, or a block with 'name' or 'target'"),
    (devices({**MLP, "label": "a b"}), "label"),
    (devices({**MLP, "model": "lenet-bn"}), "the simulation's own model. Leave 'model' out"),
    (devices(MLP, {**MLP, "model": "mlp"}), "two different models are called 'mlp'"),
    (devices(MLP, "full"), "others 'full', which .* write 'variant: architecture', without"),
    (
        devices(MLP, {"name": "int8", "train": False}),
        "write 'variant: {name: architecture, train: false}'",
    ),
    (devices(auto(OWN, "full")), "others 'full', which .* write 'variant: architecture', without"),
    (devices(auto(MLP, {**MLP, "model": "mlp"})), "two different models are called 'mlp'"),
]


@pytest.mark.parametrize(("block", "words"), WRONG, ids=[case[1] for case in WRONG])
def test_blocks_that_make_no_sense(block, words, tmp_path):
    with pytest.raises(UserError, match=words):
        tiny.config(tmp_path, METHOD, devices=block)


def test_what_it_cannot_be_combined_with(tmp_path):
    with pytest.raises(UserError, match="strategy 'scaffold' does more with the clients' models"):
        tiny.config(tmp_path, "scaffold", devices=devices(MLP))
    with pytest.raises(UserError, match="no device trains the architecture 'mlp', and strategy"):
        tiny.config(tmp_path, devices=devices({**MLP, "train": False}))
    narrow = {"name": "width", "ratio": 0.5}
    with pytest.raises(UserError, match="asks whole models for their answers"):
        tiny.config(tmp_path, METHOD, devices=devices(narrow, "full"))
    with pytest.raises(UserError, match="its variant 'mlp' takes"):
        run(tmp_path, devices=devices(MLP, memory=100))


def test_the_block_is_the_same_again():
    config = tiny.config("runs", METHOD, devices=devices(MLP))
    assert plain(from_dict(plain(config))) == plain(config)
    assert plain(config)["devices"]["profiles"][0]["variant"]["model"]["hidden"] == [16]
