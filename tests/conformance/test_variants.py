"""Whole runs in which devices train forms of the model that they can afford."""

import json

import numpy as np
import pandas as pd
import pytest
import torch

from fedzda.base import Turn, UserError
from fedzda.clients.runtime import ClientRuntime
from fedzda.clients.variants.int8 import Int8
from fedzda.clients.weights import load_arrays
from fedzda.platform.config import plain
from fedzda.platform.config.load import from_dict
from fedzda.platform.simulation import Simulation

from . import tiny
from .played import run, same, weights


def devices(slow, fast="full", **more):
    """Slow devices with a variant, fast ones with another."""
    entries = [
        {**own, "variant": form} for own, form in zip(tiny.TWO_SPEEDS, (slow, fast), strict=True)
    ]
    return {"name": "profiles", "profiles": entries, **more}


def with_memory(entries, *sizes):
    return [
        {**own, "profile": {**own["profile"], "memory": float(size)}}
        for own, size in zip(entries, sizes, strict=True)
    ]


HALF = {"name": "width", "ratio": 0.5}
FORMS = {
    "heterofl": HALF,
    "shared": {**HALF, "batchnorm": "shared"},
    "fedrolex": {**HALF, "method": "fedrolex"},
    "fjord": {**HALF, "method": "fjord"},
    "quantized": {"name": "quantized", "weights": 4},
    "quantized-tested": {"name": "quantized", "weights": 4, "train": False},
    "int8": "int8",
    "narrow-tested": {**HALF, "train": False},
    "excluded": "excluded",
}
MIXED = devices({"name": "width", "ratio": 0.5, "method": "fjord"}, HALF)


@pytest.mark.parametrize("name", FORMS)
def test_runs_and_tells_who_had_what(name, tmp_path):
    changes = {"strategy": {"name": "fed-avg", "clients_per_round": 3}, "report": name == "int8"}
    found = run(tmp_path, devices=devices(FORMS[name]), **changes)
    table, summary = found.clients, found.summary
    titles = dict(table.groupby("device").variant.first())
    assert titles["fast"] == "full"
    assert set(summary["by_variant"]) == set(titles.values())
    told = summary["by_device"]["slow"]["accuracy"]
    assert summary["by_variant"][titles["slow"]]["accuracy"] == told
    assert summary["variants"]["full"]["clients"] == 3
    trained = table[table.phase == "train"]
    trains = summary["variants"][titles["slow"]]["trains"]
    assert ("slow" in set(trained.device)) == trains
    assert summary["by_device"]["slow"]["accuracy"]["n"] == 3
    if trains and "width" in titles["slow"]:
        by = trained.groupby("device")[["bytes_up", "bytes_down", "virtual_sec"]].mean()
        assert by.bytes_up["slow"] < 0.5 * by.bytes_up["fast"]
        assert by.bytes_down["slow"] < 0.5 * by.bytes_down["fast"]
        sent = trained[trained.device == "slow"].bytes_up
        size = summary["variants"][titles["slow"]]["bytes"]
        assert (sent <= size).all() if name == "fjord" else (sent == size).all()
    if changes["report"]:
        assert "int8" in (found.path / "report.html").read_text()


def test_depth_runs_by_itself_only(tmp_path):
    shallow, deep = {"name": "depth", "stages": 1}, {"name": "depth", "stages": 3}
    found = run(tmp_path, devices=devices(shallow, {**deep, "distillation": 0.3}))
    assert set(found.summary["by_variant"]) == {"depth-1", "depth-3"}
    up = found.clients[found.clients.phase == "train"].groupby("variant").bytes_up.mean()
    assert up["depth-1"] < 0.2 * up["depth-3"]
    with pytest.raises(UserError, match="other devices train 'full', which has no part"):
        tiny.config(tmp_path, devices=devices(shallow))


def test_all_full_is_fed_avg_to_the_bit(tmp_path):
    """Whoever runs the full model in the company of a form that covers everything."""
    plainly = run(tmp_path, devices=tiny.TWO_SPEEDS)
    whole = run(tmp_path, devices=devices({"name": "width", "ratio": 1.0}, "int8"))
    assert same(weights(plainly), weights(whole))
    columns = ["round", "client", "metric", "value", "bytes_down", "bytes_up", "virtual_sec"]
    rows = [found.clients[found.clients.phase == "train"] for found in (plainly, whole)]
    pd.testing.assert_frame_equal(rows[0][columns], rows[1][columns])


@pytest.mark.parametrize("changes", [{"weighting": "uniform"}, {}])
def test_the_mean_is_over_those_that_cover(changes, tmp_path, monkeypatch):
    """Against a plain loop over the models that came back, with sums in workers and without."""
    seen = []
    answer = ClientRuntime.train

    def watched(self, call):
        reply = answer(self, call)
        copies = [dict(record) for record in reply.content.arrays.values()]
        size = next(iter(reply.content.metrics.values()))["num-examples"]
        seen.append((call.round, size, *copies))
        return reply

    monkeypatch.setattr(ClientRuntime, "train", watched)
    strategy = {"name": "fed-avg", "clients_per_round": 4, "batchnorm": "naive", **changes}
    found = run(tmp_path, rounds=1, devices=devices(HALF), strategy=strategy)
    end = weights(found)
    assert {len(entry) for entry in seen} == {3, 4}
    for name, value in end.items():
        total, weight = np.zeros(value.shape), np.zeros(value.shape)
        for _, size, arrays, *coverage in seen:
            held = coverage[0].get(name, np.True_) if coverage else np.True_
            own = 1.0 if changes else size
            total += np.where(held, arrays[name].astype(float), 0.0) * own
            weight += np.where(held, own, 0.0)
        assert (weight > 0).all()
        expected = total / weight
        if value.dtype == np.int64:
            expected = np.round(expected)
        np.testing.assert_allclose(value, expected, rtol=2e-6, atol=1e-7)


def test_resuming_changes_nothing(tmp_path):
    straight = run(tmp_path, devices=MIXED)
    short = run(tmp_path, devices=MIXED, rounds=2)
    assert same(weights(straight), weights(Simulation.resume(short.path, rounds=3)))


def test_auto_takes_the_widest_that_fits_and_excludes_whom_none_fits(tmp_path, caplog):
    sizes = (60_000, 3_000)  # weights and gradients: 185,000 bytes in full, 4,216 at an eighth
    entries = with_memory(devices("auto", "auto")["profiles"], *sizes)
    found = run(tmp_path, devices=entries, strategy={"name": "fed-avg", "clients_per_round": 3})
    costs = found.summary["variants"]
    assert set(costs) == {"width-0.5", "excluded"}
    assert costs["width-0.5"]["training_bytes"] <= sizes[0]
    assert costs["excluded"] | {"trains": False, "clients": 3} == costs["excluded"]
    assert "devices of profile 'fast' take no part in training" in caplog.text
    assert set(found.clients[found.clients.phase == "train"].device) == {"slow"}
    assert found.summary["by_variant"]["excluded"]["accuracy"]["n"] == 3


def test_a_ladder_of_one_rung_leaves_out_the_weak(tmp_path):
    entries = with_memory(devices({"name": "auto", "ladder": [1.0]})["profiles"], 60_000, 1e9)
    few = {"name": "scaffold", "clients_per_round": 3}
    made = Simulation.build(tiny.config(tmp_path, "scaffold", devices=entries, strategy=few))
    assert [form.title for form in made.fleet.forms] == ["excluded", "full"]


def test_auto_looks_at_the_deadline(tmp_path):
    """A slow device takes 1.8 s for the full model."""
    narrow = Simulation.build(tiny.config(tmp_path, devices=devices("auto", deadline=1.2)))
    assert narrow.fleet.forms[0].title == "width-0.5"
    wide = Simulation.build(tiny.config(tmp_path, devices=devices("auto", deadline=5.0)))
    assert wide.fleet.forms[0].title == "full"


THREE = {"name": "auto", "forms": ["full", HALF, {"name": "int8", "train": False}]}
"""Full: 180,000 bytes to train; half: 48,000; int8: 24,000 to be tested."""


def three(*forms):
    """Three classes of devices that differ in memory alone."""
    names = {"phone": 1e9, "watch": 120_000, "sensor": 30_000}
    return [
        {
            "profile": {**tiny.TWO_SPEEDS[0]["profile"], "name": name, "memory": float(memory)},
            "share": 1 / 3,
            "variant": form,
        }
        for (name, memory), form in zip(names.items(), forms, strict=True)
    ]


def test_auto_is_what_its_forms_are_by_hand(tmp_path):
    """To the bit: weights, every figure of every client, and what tables say."""
    few = {"strategy": {"name": "fed-avg", "clients_per_round": 3}}
    chosen = run(tmp_path / "auto", devices=three(THREE, THREE, THREE), **few)
    hand = run(tmp_path / "hand", devices=three(*THREE["forms"]), **few)
    assert same(weights(chosen), weights(hand))
    rows = [found.clients.drop(columns="seconds") for found in (chosen, hand)]
    pd.testing.assert_frame_equal(*rows)
    told = chosen.summary
    assert set(told["variants"]) == {"full", "width-0.5", "int8"}
    for key in ("variants", "by_variant", "by_device"):
        assert told[key] == hand.summary[key]


def test_auto_over_depths(tmp_path):
    """Exits are there for whatever is chosen."""
    depths = [{"name": "depth", "stages": number} for number in (3, 2, 1)]
    forms = {"name": "auto", "forms": depths}
    few = {"strategy": {"name": "fed-avg", "clients_per_round": 4}}
    chosen = run(tmp_path / "auto", devices=three(forms, forms, forms), **few)
    titles = dict(chosen.clients.groupby("device").variant.first())
    assert titles == {"phone": "depth-3", "watch": "depth-2", "sensor": "depth-1"}
    hand = run(tmp_path / "hand", devices=three(*depths), **few)
    assert same(weights(chosen), weights(hand))
    short = run(tmp_path / "short", devices=three(forms, forms, forms), rounds=2, **few)
    assert same(weights(chosen), weights(Simulation.resume(short.path, rounds=3)))


def test_int8_is_what_onnx_runtime_says(tmp_path):
    """Every client's accuracy, against its own file and a session outside the simulation."""
    import onnxruntime

    config = tiny.config(tmp_path, devices=devices("int8", "int8"))
    simulation = Simulation.build(config)
    found = simulation.run()
    runtime = ClientRuntime(plain(config), str(simulation.federation.folder), "cpu")
    load_arrays(runtime.model, weights(found))
    form = Int8(config.devices.profiles[0].variant, runtime.model, runtime.image)
    last = found.clients[(found.clients.phase == "evaluate") & (found.clients["round"] == 3)]
    told = last[last.metric == "accuracy"].set_index("client").value
    for client in range(6):
        rows = runtime.federation.indices(client, "train")
        path = tmp_path / f"{client}.onnx"
        images = runtime.batch(rows)["image"]
        model = form.build(runtime.model, Turn(0, client, 3, False))
        form.export(model, images, Turn(0, client, 3, False), path)
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        batch = runtime.batch(runtime.federation.indices(client, "test"))
        (logits,) = session.run(None, {"images": batch["image"].contiguous().numpy()})
        hits = torch.from_numpy(logits).argmax(1) == batch["label"]
        assert told[client] == pytest.approx(hits.double().mean().item(), abs=1e-12)


WRONG = [
    (devices("half"), "no variants named 'half'.* Known: architecture, auto, "),
    (devices({"name": "width", "ratio": 1.5}), "'ratio' should be less than or equal to 1"),
    (devices({"name": "width", "ratio": 0.0}), "'ratio' should be greater than 0"),
    (devices({"name": "width", "ratoi": 0.5}), "unknown key 'ratoi'. Did you mean 'ratio'"),
    (devices({"name": "auto", "ladder": [2.0]}), "above 0 and at most at 1 .got 2"),
    (devices({"ratio": 0.5}), "a name or a block with a 'name'"),
]


@pytest.mark.parametrize(("block", "words"), WRONG, ids=[case[1] for case in WRONG])
def test_forms_that_make_no_sense(block, words, tmp_path):
    with pytest.raises(UserError, match=words):
        tiny.config(tmp_path, devices=block)


def test_what_else_a_form_cannot_be_combined_with(tmp_path):
    rolling = {**HALF, "method": "fedrolex"}
    with pytest.raises(UserError, match=r"strategy 'scaffold' does more with the clients' models"):
        tiny.config(tmp_path, "scaffold", devices=devices(HALF))
    with pytest.raises(UserError, match=r"error_feedback' keeps what was not sent"):
        tiny.config(tmp_path, devices=devices(rolling), uplink={"name": "top-k"})
    tiny.config(tmp_path, devices=devices(HALF), uplink={"name": "top-k"})


def test_nobody_fits(tmp_path):
    entries = with_memory(devices("auto", "auto")["profiles"], 100, 100)
    with pytest.raises(UserError, match="no device trains"):
        Simulation.build(tiny.config(tmp_path, devices=entries))
    few = {"name": "fed-avg", "clients_per_round": 4}
    with pytest.raises(UserError, match="only 3 of 6 clients have devices that can train"):
        Simulation.build(tiny.config(tmp_path, devices=devices("excluded"), strategy=few))
    small = with_memory(devices(HALF)["profiles"], 100, 1e9)
    with pytest.raises(UserError, match=r"its variant 'width-0.5' takes"):
        run(tmp_path, devices=small)


def test_compressed_updates_of_narrow_models(tmp_path):
    found = run(tmp_path, devices=devices(HALF), uplink={"name": "qsgd"})
    up = found.clients[found.clients.phase == "train"].groupby("device").bytes_up.mean()
    assert up["slow"] < 0.5 * up["fast"]
    assert json.loads((found.path / "rounds.jsonl").read_text().splitlines()[0])["virtual_sec"] > 0


def test_the_block_is_the_same_again():
    for form in ("auto", THREE):
        config = tiny.config("runs", devices=devices(form, HALF))
        assert plain(from_dict(plain(config))) == plain(config)
    assert plain(config)["devices"]["profiles"][1]["variant"]["ratio"] == 0.5
