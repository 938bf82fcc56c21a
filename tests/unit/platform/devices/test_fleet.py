"""Who has which device, and when it is there."""

import json

import numpy as np
import pytest

from fedzda.base import UserError
from fedzda.platform.devices.availability import Always, Diurnal, Trace
from fedzda.platform.devices.config import ProfilesConfig
from fedzda.platform.devices.fleet import Fleet, assigned, device_names
from fedzda.platform.devices.traces import read_trace

NUMBERS = {"compute": 1e9, "memory": 1e9, "uplink": 1e6, "downlink": 8e6}
HOUR = 3600.0


def config(*entries, **more):
    profiles = [
        {"profile": {"name": f"p{i}", **NUMBERS, **entry.pop("numbers", {})}, **entry}
        for i, entry in enumerate(dict(entry) for entry in entries)
    ]
    return ProfilesConfig.model_validate({"profiles": profiles, **more})


def test_shares_are_exact_and_the_assignment_depends_on_the_seed_alone():
    found = config({"share": 0.5}, {"share": 0.3}, {"share": 0.2})
    for clients in (1, 7, 10, 101):
        kinds = assigned(found, clients, seed=3)
        counts = np.bincount(kinds, minlength=3)
        assert counts.sum() == clients
        assert (np.abs(counts - np.array([0.5, 0.3, 0.2]) * clients) < 1).all()
        assert np.array_equal(kinds, assigned(found, clients, seed=3))
    assert not np.array_equal(assigned(found, 101, 3), assigned(found, 101, 4))
    assert np.bincount(assigned(found, 10, 0)).tolist() == [5, 3, 2]
    assert device_names(found) == ["p0", "p1", "p2"]


def test_a_million_clients_are_an_index(tmp_path):
    found = config({"share": 0.5}, {"share": 0.5, "numbers": {"compute": 5e9}})
    fleet = Fleet(found, 1_000_000, 0, tmp_path)
    few = np.array([0, 1, 999_999])
    assert set(fleet.rate("compute", few)) <= {1e9, 5e9}
    assert fleet.kind.nbytes <= 8_000_000
    assert fleet.always


def test_a_log_normal_spread_has_its_median_and_width(tmp_path):
    numbers = {"compute_sigma": 0.5, "bandwidth_sigma": 1.0}
    fleet = Fleet(config({"share": 1.0, "numbers": numbers}), 4000, 0, tmp_path)
    everybody = np.arange(4000)
    logs = np.log(fleet.rate("compute", everybody) / 1e9)
    assert np.median(logs) == pytest.approx(0.0, abs=0.05)
    assert logs.std() == pytest.approx(0.5, rel=0.05)
    up, down = (fleet.rate(way, everybody) for way in ("uplink", "downlink"))
    np.testing.assert_allclose(down / up, 8.0)  # one factor on both
    assert np.log(up / 1e6).std() == pytest.approx(1.0, rel=0.05)
    assert np.array_equal(fleet.rate("inference", everybody), fleet.rate("compute", everybody))
    assert fleet.rate("compute", np.array([7]))[0] == fleet.rate("compute", everybody)[7]


def test_always():
    clients = np.array([0, 4])
    assert Always().following(clients, 3.0).tolist() == [3.0, 3.0]
    assert np.isinf(Always().until(clients, 3.0)).all()


def test_a_daily_window_by_hand():
    """Client 0: 22 to 6 o'clock, client 1: 9 to 17; the run starts at 8 o'clock."""
    found = Diurnal(np.array([22.0, 9.0]), hours=8.0, start_hour=8.0)
    both = np.array([0, 1])
    assert np.isneginf(found.until(both, 0.0)).all()
    np.testing.assert_allclose(found.following(both, 0.0), [14 * HOUR, HOUR])
    np.testing.assert_allclose(found.until(both, 14 * HOUR), [22 * HOUR, -np.inf])
    np.testing.assert_allclose(found.until(both, 2 * HOUR), [-np.inf, 9 * HOUR])
    np.testing.assert_allclose(found.following(both, 23 * HOUR), [38 * HOUR, 25 * HOUR])
    tomorrow = found.until(both, (24 + 15) * HOUR)
    np.testing.assert_allclose(tomorrow, [(24 + 22) * HOUR, -np.inf])
    all_day = Diurnal(np.array([3.0]), hours=24.0, start_hour=0.0)
    assert np.isposinf(all_day.until(np.array([0]), 5.0)).all()


def test_whoever_is_waited_for_is_there():
    """The times that ``following`` names lie in windows, for odd numbers too."""
    rng = np.random.default_rng(0)
    found = Diurnal(rng.normal(20, 5, 50), hours=0.7, start_hour=1 / 3)
    for client in range(50):
        one = np.array([client])
        sec = float(found.following(one, 12345.678)[0])
        assert found.until(one, sec)[0] > sec


def test_a_trace_by_hand():
    starts, ends = (
        [np.array([10.0, 50.0]), np.array([0.0])],
        [np.array([20.0, 60.0]), np.array([5.0])],
    )
    found = Trace(starts, ends, np.array([100.0, 10.0]), np.array([0, 1, 0]))
    every = np.array([0, 1, 2])
    assert found.until(every, 0.0).tolist() == [-np.inf, 5.0, -np.inf]
    assert found.following(every, 0.0).tolist() == [10.0, 0.0, 10.0]
    assert found.until(every, 15.0).tolist() == [20.0, -np.inf, 20.0]
    assert found.following(every, 15.0).tolist() == [15.0, 20.0, 15.0]
    assert found.following(every, 20.0).tolist() == [50.0, 20.0, 50.0]
    assert found.following(every, 75.0).tolist() == [110.0, 80.0, 110.0]
    assert found.until(every, 155.0).tolist() == [160.0, -np.inf, 160.0]


def test_a_window_goes_on_when_the_trace_begins_again():
    starts = [np.array([0.0]), np.array([0.0, 90.0]), np.array([5.0])]
    ends = [np.array([100.0]), np.array([10.0, 100.0]), np.array([100.0])]
    found = Trace(starts, ends, np.full(3, 100.0), np.arange(3))
    assert found.until(np.arange(3), 95.0).tolist() == [np.inf, 110.0, 100.0]
    assert found.until(np.arange(3), 250.0).tolist() == [np.inf, -np.inf, 300.0]


FEDSCALE = {
    "3834": {
        "duration": 86627,
        "inactive": [65881, 133574],
        "finish_time": 518400,
        "active": [12788, 100044],
        "model": "CPH1801",
    },
    "7": {"duration": 5, "inactive": [5], "finish_time": 10, "active": [0], "model": "SM-A505"},
}


def test_fedscales_layout_as_json_and_csv(tmp_path):
    (tmp_path / "trace.json").write_text(json.dumps(FEDSCALE))
    rows = ["client,active,inactive,finish_time"]
    for client, own in FEDSCALE.items():
        windows = zip(own["active"], own["inactive"], strict=True)
        rows += [f"{client},{start},{end},{own['finish_time']}" for start, end in windows]
    (tmp_path / "trace.csv").write_text("\n".join(rows))
    for name in ("trace.json", "trace.csv"):  # as editors on Windows write them
        (tmp_path / f"marked-{name}").write_bytes(b"\xef\xbb\xbf" + (tmp_path / name).read_bytes())
    every = np.arange(4)
    for name in ("trace.json", "trace.csv", "marked-trace.json", "marked-trace.csv"):
        found = read_trace(name, tmp_path, np.arange(4))
        assert found.following(every, 0.0).tolist() == [12788.0, 0.0, 12788.0, 0.0]
        assert found.until(every, 100044.0).tolist() == [133574.0, 100045.0, 133574.0, 100045.0]


WRONG = [
    ("gone.json", None, "no file or folder"),
    ("trace.json", b"\x80\x04\x95\x10\x00pickle", "is a pickle, which is never opened"),
    ("trace.json", b"[1, 2]", "should be a mapping of client ids to windows, found a list"),
    ("trace.json", b"{}", "has no entry"),
    ("trace.json", b'{"4": {"active": [1]}}', "client '4': it cannot be read .KeyError"),
    (
        "trace.json",
        b'{"4": {"active": [1, 5], "inactive": [2], "finish_time": 9}}',
        "2 times in 'active' and 1 in 'inactive'",
    ),
    (
        "trace.json",
        b'{"4": {"active": [5], "inactive": [2], "finish_time": 9}}',
        "not ascending numbers from 0",
    ),
    (
        "trace.json",
        b'{"4": {"active": [1], "inactive": [9], "finish_time": 5}}',
        "'finish_time' is 5, its last time is 9",
    ),
    ("trace.csv", b"client,active\n1,2\n", "lacks the column 'inactive'"),
    ("trace.csv", b"client,active,model\n1,2,T\xe9l\xe9phone\n", "is no text in UTF-8"),
    (
        "trace.csv",
        b"client,active,inactive,finish_time\n1,x,3,4\n",
        "client '1': it cannot be read",
    ),
]


@pytest.mark.parametrize(("name", "content", "sentence"), WRONG, ids=[case[2] for case in WRONG])
def test_traces_that_cannot_be_used(tmp_path, name, content, sentence):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    entry = {"share": 1.0, "availability": {"name": "trace", "path": name}}
    with pytest.raises(UserError, match=sentence):
        Fleet(config(entry), 3, 0, tmp_path)


def test_clients_of_a_profile_take_its_entries_in_turn(tmp_path):
    (tmp_path / "trace.json").write_text(json.dumps(FEDSCALE))
    entry = {"share": 0.5, "availability": {"name": "trace", "path": "trace.json"}}
    fleet = Fleet(config({"share": 0.5}, entry), 8, 1, tmp_path)
    traced = np.flatnonzero(fleet.kind == 1)
    ready = fleet.following(0.0)
    assert ready[traced].tolist() == [12788.0, 0.0, 12788.0, 0.0]
    assert ready[fleet.kind == 0].tolist() == [0.0] * 4
