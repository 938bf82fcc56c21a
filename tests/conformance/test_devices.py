"""Devices, virtual time, asynchronous rounds and compressed updates, with every strategy."""

import numpy as np
import pandas as pd
import pytest

from fedzda.base import UserError
from fedzda.platform import checkpoint
from fedzda.platform.catalog import CATALOG
from fedzda.platform.devices.clock import FATES
from fedzda.platform.simulation import Simulation

from . import tiny
from .played import rounds, run, same, weights

STRATEGIES = sorted(set(CATALOG["strategies"]) - {"fed-buff"})
COLUMNS = ["round", "phase", "client", "stage", "metric", "value", "device", "virtual_sec"]
COLUMNS += ["bytes_down", "bytes_up"]
MOODY = [
    {**tiny.TWO_SPEEDS[0], "dropout": 0.3},
    {**tiny.TWO_SPEEDS[1], "availability": {"name": "diurnal", "hours": 12.0, "jitter": 3.0}},
]


@pytest.mark.parametrize("name", STRATEGIES)
def test_every_strategy_lives_with_devices_that_fail(name, tmp_path, monkeypatch):
    """And what a client is planned to send is what it sends."""
    devices = {"name": "profiles", "profiles": MOODY, "over_commit": 0.5, "deadline": 2.3}
    extra = {"clients_per_round": 3, **tiny.EXTRA.get(name, {})}
    config = tiny.config(tmp_path, name, devices=devices, strategy={"name": name, **extra})
    seen = []
    make = Simulation._loop

    def watched(self, *arguments):
        loop = make(self, *arguments)
        observe = loop.grid.observe

        def note(exchange):
            seen.append((loop.grid.clock.workload, exchange))
            observe(exchange)

        loop.grid.observe = note
        return loop

    monkeypatch.setattr(Simulation, "_loop", watched)
    found = Simulation.build(config).run()
    trained = [(work, e) for work, e in seen if e.phase == "train"]
    assert len(trained) == 3
    for workload, exchange in trained:
        assert len(exchange.calls) <= 3
        for call, sent in zip(exchange.calls, exchange.bytes_up, strict=True):
            assert workload.upload(call.content, call.client) == sent
    if name != "centralised":  # asks one client, which may fail every time
        assert any(exchange.calls for _, exchange in trained)
        assert any(exchange.lost for _, exchange in trained)
    assert found.summary["virtual"]["sec"] > 0


def test_a_clock_alone_changes_nothing_but_the_columns_of_time(tmp_path):
    plain, timed = run(tmp_path), run(tmp_path, devices=tiny.TWO_SPEEDS)
    assert same(weights(plain), weights(timed))
    columns = ["round", "phase", "client", "metric", "value", "bytes_down", "bytes_up"]
    pd.testing.assert_frame_equal(plain.clients[columns], timed.clients[columns])
    assert plain.summary["metrics"] == timed.summary["metrics"]
    assert plain.summary["virtual"] is None
    assert set(plain.clients.device) == {"uniform"}
    assert set(timed.clients.device) == {"slow", "fast"}
    assert timed.clients[timed.clients.phase == "train"].virtual_sec.notna().all()
    assert timed.clients[timed.clients.phase == "evaluate"].virtual_sec.isna().all()


@pytest.mark.parametrize(
    ("name", "options", "times"),
    [
        # a step costs as much as three forward passes
        ("ditto", {}, 2),
        ("moon", {}, 5 / 3),
        ("q-ffl", {}, 4 / 3),
        ("flwr-q-fed-avg", {}, 4 / 3),
        ("fed-zdac", {"start_round": 2}, 1),
    ],
)
def test_what_a_method_does_besides_takes_time(name, options, times, tmp_path):
    numbers = {"compute": 1e6, "memory": 1e9, "uplink": 1e15, "downlink": 1e15}
    devices = [{"profile": {"name": "one", **numbers}, "share": 1.0}]
    strategy = {"name": name, **tiny.EXTRA.get(name, {}), **options}
    changes = {"devices": devices, "data": SAME_SIZES, "rounds": 1}
    plain, found = run(tmp_path, **changes), run(tmp_path, name, strategy=strategy, **changes)
    sec = plain.summary["virtual"]["sec"]
    assert found.summary["virtual"]["sec"] == pytest.approx(times * sec, rel=1e-6)


def test_what_the_files_say_of_devices(tmp_path):
    devices = {"name": "profiles", "profiles": MOODY, "over_commit": 0.5, "deadline": 1.6}
    found = run(tmp_path, devices=devices, rounds=6, report=True)
    rows, summary, table = rounds(found), found.summary, found.clients
    assert rows[-1]["virtual_total_sec"] == pytest.approx(sum(r["virtual_sec"] for r in rows))
    assert summary["virtual"]["sec"] == rows[-1]["virtual_total_sec"]
    lost = table[table.metric.isin(FATES)]
    assert (lost.phase == "train").all()
    assert not lost.bytes_up.any()
    for fate in FATES:
        assert sum(row["clients"][fate] for row in rows) == (lost.metric == fate).sum()
    assert summary["virtual"]["devices"]["slow"]["clients"] == 3
    used = sum(own["used"] for own in summary["virtual"]["devices"].values())
    assert used == sum(row["clients"]["done"] for row in rows)
    assert {"slow", "fast"} == set(summary["by_device"])
    assert summary["by_device"]["slow"]["accuracy"]["n"] == 3
    assert summary["bytes"]["down"] == sum(row["bytes"]["down"] for row in rows)
    page = (found.path / "report.html").read_text()
    assert "of virtual time" in page
    assert "Updates used" in page


def test_groups_may_be_devices(tmp_path):
    found = run(tmp_path, devices=tiny.TWO_SPEEDS, evaluate={"groups": {"by": "device"}})
    assert set(found.summary["groups"]["groups"]) == {"slow", "fast"}
    rows = found.clients
    assert (rows.group == rows.device).all()


def test_a_deadline_that_nobody_meets_is_told_before_the_first_round(tmp_path):
    devices = {"name": "profiles", "profiles": tiny.TWO_SPEEDS, "deadline": 0.01}
    with pytest.raises(UserError, match=r"deadline is 0.01 s, which no client can meet"):
        run(tmp_path, devices=devices)
    assert not list(tmp_path.iterdir())


def test_a_trace_that_is_missing_is_told_when_the_run_is_built(tmp_path):
    entry = {**tiny.TWO_SPEEDS[0], "share": 1.0}
    entry["availability"] = {"name": "trace", "path": "nowhere.json"}
    with pytest.raises(UserError, match=r"availability.path is 'nowhere.json', but there is no"):
        Simulation.build(tiny.config(tmp_path, devices=[entry]), folder=tmp_path)


def test_resuming_with_devices_gives_the_same_end(tmp_path):
    devices = {"name": "profiles", "profiles": MOODY, "over_commit": 0.5, "deadline": 1.6}
    changes = {"devices": devices, "uplink": {"name": "top-k", "fraction": 0.1}}
    straight = run(tmp_path, rounds=5, **changes)
    resumed = Simulation.resume(run(tmp_path, rounds=2, **changes).path, rounds=5)
    assert same(weights(straight), weights(resumed))
    pd.testing.assert_frame_equal(straight.clients[COLUMNS], resumed.clients[COLUMNS])
    assert straight.summary["virtual"] == resumed.summary["virtual"]


# -- fed-buff ---------------------------------------------------------------------------------

SAME_SIZES = {
    "name": "digits",
    "clients": 6,
    "max_samples": 120,
    "partition": {"name": "size", "sizes": [20] * 6},
    "test_fraction": 0.25,
}


def buff(output, devices=None, **changes):
    return run(output, "fed-buff", devices=devices or MOODY, **changes)


def test_fed_buff_without_staleness_is_fed_avg(tmp_path):
    """Equal devices, equal work, and as many at work as the buffer holds."""
    equal = [{**tiny.TWO_SPEEDS[0], "share": 1.0}]
    strategy = {"name": "fed-buff", "clients_per_round": 6, "concurrency": 6}
    found = buff(tmp_path, equal, data=SAME_SIZES, strategy=strategy)
    assert {row["server"]["fed-buff-largest-staleness"] for row in rounds(found)} == {0}
    reference = run(tmp_path, data=SAME_SIZES, strategy={"name": "fed-avg", "weighting": "uniform"})
    assert same(weights(found), weights(reference))


@pytest.mark.parametrize("done", [1, 2, 4])
def test_fed_buff_resumes_with_its_clients_at_work(tmp_path, done):
    straight = buff(tmp_path, rounds=6)
    short = buff(tmp_path, rounds=done)
    kept = checkpoint.load_latest(short.path / "checkpoints")
    assert len(kept.clock["tasks"]) >= 1
    assert set(kept.strategy["versions"]) == {task[4] for task in kept.clock["tasks"]}
    resumed = Simulation.resume(short.path, rounds=6)
    assert same(weights(straight), weights(resumed))
    pd.testing.assert_frame_equal(straight.clients[COLUMNS], resumed.clients[COLUMNS])
    assert straight.summary["virtual"] == resumed.summary["virtual"]


def test_fed_buff_waits_for_nobody(tmp_path):
    """Fast devices come in more often than slow ones, and rounds are shorter than theirs."""
    found = buff(tmp_path, tiny.TWO_SPEEDS, rounds=12)
    reference = run(tmp_path, devices=tiny.TWO_SPEEDS, rounds=12)
    devices = found.summary["virtual"]["devices"]
    assert devices["fast"]["used"] > devices["slow"]["used"] > 0
    assert found.summary["virtual"]["sec"] < reference.summary["virtual"]["sec"]
    assert max(row["server"]["fed-buff-largest-staleness"] for row in rounds(found)) > 0
    table = found.clients
    train = table[(table.phase == "train") & (table.metric == "loss")]
    assert not train.duplicated(["round", "client"]).any()


def test_fed_buff_counts_on_those_who_train(tmp_path):
    """Whoever is lost in a round is not asked again in it, and the others never train."""
    moody, able = ({**own, "share": 0.5} for own in tiny.TWO_SPEEDS)
    devices = [{**moody, "dropout": 0.4}, {**able, "variant": "excluded"}]
    strategy = {"name": "fed-buff", "clients_per_round": 3, "concurrency": 3}
    found = buff(tmp_path, devices, data=SAME_SIZES, strategy=strategy, rounds=4)
    assert len(rounds(found)) == 4
    assert found.summary["virtual"]["devices"]["slow"]["dropped"] > 0


def test_fed_buff_keeps_the_model_in_a_round_in_which_all_are_lost(tmp_path):
    devices = [{**tiny.TWO_SPEEDS[0], "share": 1.0, "dropout": 0.99}]
    found = buff(tmp_path, devices, rounds=3)
    assert [row["clients"]["done"] for row in rounds(found)] == [0, 0, 0]
    fresh = run(tmp_path, devices=devices, rounds=3, strategy={"name": "fed-avg"})
    first, second = (checkpoint.load_latest(r.path / "checkpoints").arrays for r in (found, fresh))
    assert all(np.array_equal(first[name], second[name]) for name in first)


# -- compressed updates -----------------------------------------------------------------------


@pytest.mark.parametrize("name", STRATEGIES)
def test_every_strategy_takes_compressed_updates(name, tmp_path):
    """What is counted is the encoded size, and no client state but the residual is added."""
    uplink = {"name": "top-k", "fraction": 0.05}
    plain, found = run(tmp_path, name, rounds=2), run(tmp_path, name, rounds=2, uplink=uplink)
    before, after = plain.summary["bytes"], found.summary["bytes"]
    assert after["down"] == before["down"]
    if name == "local-only":
        assert after["up"] == before["up"] == 0
        assert same(weights(plain), weights(found))
    else:
        assert after["up"] < before["up"]
        assert all(np.isfinite(value).all() for value in weights(found).values())


@pytest.mark.parametrize("name", ["fed-avg", "fed-mgda", "fed-bn", "scaffold", "flwr-fed-adam"])
def test_sending_everything_is_no_compression(name, tmp_path):
    uplink = {"name": "top-k", "fraction": 1.0}
    plain, found = run(tmp_path, name), run(tmp_path, name, uplink=uplink)
    assert same(weights(plain), weights(found))
    assert plain.summary["bytes"] == found.summary["bytes"]
    columns = ["round", "phase", "client", "metric", "value", "bytes_down", "bytes_up"]
    pd.testing.assert_frame_equal(plain.clients[columns], found.clients[columns])


@pytest.mark.parametrize(
    ("uplink", "per_weight"),
    [
        ({"name": "fp16"}, 2.0),
        ({"name": "qsgd", "bits": 8}, 1.0 + 4 / 512),
        ({"name": "top-k", "fraction": 0.1}, 0.8),
    ],
)
def test_bytes_of_the_client_table(tmp_path, uplink, per_weight):
    found = run(tmp_path, uplink=uplink, rounds=1)
    model = Simulation.build(tiny.config(tmp_path)).model
    trained = sum(p.numel() for p in model.parameters())
    rest = sum(b.numel() * b.element_size() for b in model.buffers())
    rows = found.clients[found.clients.phase == "train"]
    assert rows.bytes_up.nunique() == 1
    assert rows.bytes_up.iloc[0] - rest == pytest.approx(per_weight * trained, abs=8)


def test_what_is_not_sent_is_kept(tmp_path):
    """One client: model + residual after a round is what it trained, uncompressed."""
    alone = {"strategy": {"name": "fed-avg", "clients_per_round": 1}, "rounds": 1}
    plain = weights(run(tmp_path, **alone))
    short = run(tmp_path, uplink={"name": "top-k", "fraction": 0.02}, **alone)
    found = checkpoint.load_latest(short.path / "checkpoints")
    ((_, state),) = found.clients.items()
    whole = 0
    for name, residual in state.arrays["residual"].items():
        np.testing.assert_allclose(found.arrays[name] + residual, plain[name], atol=1e-6)
        whole += int((residual == 0).sum())
    total = sum(residual.size for residual in state.arrays["residual"].values())
    assert 0.02 * total - 1 <= whole < 0.2 * total  # what is sent leaves nothing
    without = {"name": "top-k", "fraction": 0.02, "error_feedback": False}
    assert not checkpoint.load_latest(
        run(tmp_path, uplink=without, **alone).path / "checkpoints"
    ).clients


def test_compression_shortens_virtual_time(tmp_path):
    plain = run(tmp_path, devices=tiny.TWO_SPEEDS, rounds=2)
    found = run(tmp_path, devices=tiny.TWO_SPEEDS, rounds=2, uplink={"name": "qsgd", "bits": 2})
    assert found.summary["virtual"]["sec"] < 0.7 * plain.summary["virtual"]["sec"]


def test_a_plan_in_which_nobody_trains(tmp_path):
    devices = [{**own, "variant": "excluded"} for own in tiny.TWO_SPEEDS]
    plan = Simulation.build(tiny.config(tmp_path, devices=devices, rounds=0)).plan()
    assert plan["cohort"] == plan["samples_per_round"] == plan["steps_per_round"] == 0
    few = {"batch_size": 4, "steps": 3}
    plan = Simulation.build(tiny.config(tmp_path, local=few)).plan()
    assert plan["samples_per_round"] == 12 * plan["cohort"]
