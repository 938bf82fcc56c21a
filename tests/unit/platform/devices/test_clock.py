"""The virtual clock, by hand: one client takes 1 + 30 + 8 seconds, see :func:`clock`."""

import numpy as np
import pytest

from fedzda.base import RunError, UserError
from fedzda.platform.config import LocalConfig
from fedzda.platform.devices.clock import DONE, DROPPED, LATE, LEFT, VirtualClock
from fedzda.platform.devices.config import ProfilesConfig
from fedzda.platform.devices.fleet import Fleet
from fedzda.platform.devices.work import Samples
from fedzda.platform.devices.workload import (
    EXTRA_BYTES,
    WITHHELD,
    Workload,
    samples_seen,
)
from fedzda.platform.engines.calls import Call
from fedzda.platform.records import Content

MODEL = {"w": np.zeros(200, np.float32), "running_mean": np.zeros(50, np.float32)}
HELD = np.array([10, 20, 30, 40])


def clock(tmp_path, *entries, keep=None, num=4, **more):
    """Profiles of 1000 MAC/s, 8000 bit/s down, 1000 bit/s up; 100 MAC per sample; 1000 bytes.

    Down takes 1 s and up 8 s; client k holds 10 (k + 1) samples, 3 s of work per 10 samples.
    """
    numbers = {"compute": 1000.0, "memory": 1e6, "uplink": 1000.0, "downlink": 8000.0}
    profiles = [
        {"profile": {"name": f"p{i}", **numbers, **entry.pop("numbers", {})}, **entry}
        for i, entry in enumerate(dict(entry) for entry in entries or [{"share": 1.0}])
    ]
    config = ProfilesConfig.model_validate({"profiles": profiles, **more})
    fleet = Fleet(config, num, 0, tmp_path)
    samples = Samples(HELD if num == len(HELD) else np.full(num, 10))
    local = LocalConfig(batch_size=10)
    workload = Workload(fleet, 100, samples, local, frozenset({"running_mean"}), None)
    return VirtualClock(workload, seed=0, keep=keep)


def calls(*clients, phase="train", round_=1, **config):
    content = Content({"arrays": MODEL}, configs={"config": config})
    return [Call(client, phase, round_, content, Content()) for client in clients]


def test_seconds_by_hand(tmp_path):
    found = clock(tmp_path)
    found.collect(calls(0, 3))
    done, lost = found.take()
    assert done[0].seconds == pytest.approx(1 + 3 + 8)
    assert done[3].seconds == pytest.approx(1 + 12 + 8)
    assert found.now == pytest.approx(21)
    assert not lost
    found.collect(calls(1, round_=2))
    assert found.now == pytest.approx(21 + 15)


def test_a_question_costs_a_forward_pass_and_no_upload(tmp_path):
    found = clock(tmp_path, {"share": 1.0, "numbers": {"inference": 500.0}}, deadline=2.0)
    found.collect(calls(0, 1, phase="query.loss"))
    done, _ = found.take()
    assert done[1].seconds == pytest.approx(1 + 20 * 100 / 500)
    assert found.now == pytest.approx(5)


def test_over_commitment_keeps_the_first(tmp_path):
    found = clock(tmp_path, keep=2)
    found.collect(calls(3, 1, 0))
    done, lost = found.take()
    assert set(done) == {0, 1}
    assert [(task.client, task.fate) for task in lost] == [(3, LATE)]
    assert lost[0].down == 1000
    assert found.now == pytest.approx(15)  # of client 1
    assert not found.tasks


def test_a_deadline_ends_the_round(tmp_path):
    found = clock(tmp_path, deadline=15.5)
    found.collect(calls(0, 1, 2, 3))
    done, lost = found.take()
    assert set(done) == {0, 1}
    assert [task.client for task in lost] == [2, 3]
    assert found.now == pytest.approx(15.5)
    found.collect(calls(0, 1))
    assert found.now == pytest.approx(15.5 + 15)  # both came: nobody is waited for


def test_a_round_may_be_lost(tmp_path):
    found = clock(tmp_path, deadline=5.0)
    found.collect(calls(0, 1))
    done, lost = found.take()
    assert not done
    assert len(lost) == 2
    assert found.now == pytest.approx(5)


def test_ties_go_by_the_order_of_starting(tmp_path):
    found = clock(tmp_path, num=6, keep=2)
    found.collect(calls(5, 2, 4))
    assert set(found.take()[0]) == {5, 2}


def test_dropouts_have_their_rate_and_their_place(tmp_path):
    found = clock(tmp_path, {"share": 1.0, "dropout": 0.25}, num=2000)
    found.collect(calls(*range(2000)))
    done, lost = found.take()
    assert {task.fate for task in lost} == {DROPPED}
    assert len(lost) / 2000 == pytest.approx(0.25, abs=0.03)
    shares = np.array([task.seconds for task in lost]) / done[next(iter(done))].seconds
    assert shares.max() < 1
    assert shares.mean() == pytest.approx(0.5, abs=0.05)
    again = clock(tmp_path, {"share": 1.0, "dropout": 0.25}, num=2000)
    again.collect(calls(*range(1999, -1, -1)))
    assert set(again.take()[0]) == set(done)
    again.collect(calls(*range(2000), round_=2))
    assert set(again.take()[0]) != set(done)


def test_a_device_that_goes_away_is_lost(tmp_path):
    """The window of all is from 0 to 0.004 hours, 14.4 seconds."""
    window = {"name": "diurnal", "start": 0.0, "hours": 0.004, "jitter": 0.0}
    found = clock(tmp_path, {"share": 1.0, "availability": window})
    assert found.reachable().tolist() == [0, 1, 2, 3]
    found.collect(calls(0, 1))
    done, lost = found.take()
    assert set(done) == {0}
    assert [(task.client, task.fate) for task in lost] == [(1, LEFT)]
    assert lost[0].seconds == pytest.approx(14.4)
    assert found.reachable().tolist() == []
    found.gather(4)
    assert found.now == pytest.approx(24 * 3600)
    assert found.reachable().tolist() == [0, 1, 2, 3]


def test_waiting_for_clients_that_never_meet(tmp_path):
    windows = [{"name": "diurnal", "start": s, "hours": 1.0, "jitter": 0.0} for s in (1.0, 5.0)]
    entries = [{"share": 0.5, "availability": window} for window in windows]
    found = clock(tmp_path, *entries)
    found.gather(2)
    assert found.now == pytest.approx(3600)
    with pytest.raises(RunError, match="3 clients are needed, but in two weeks"):
        found.gather(3)


def test_tasks_run_on_over_rounds_and_places_are_filled_again(tmp_path):
    """Two at work: clients 0 (12 s) and 3 (21 s); whoever ends is followed by 1, then 2."""
    found = clock(tmp_path)
    content = calls(0)[0].content
    waiting = [0, 3, 1, 2]

    def refill():
        while waiting and len(found.tasks) < 2:
            found.start(waiting.pop(0), 1, content)

    done = found.advance(2, refill=refill)
    assert [(task.client, task.end) for task in done] == [(0, 12.0), (3, 21.0)]
    assert [(task.client, task.start) for task in found.tasks] == [(1, 12.0)]
    done = found.advance(2, refill=refill)
    assert [(task.client, task.start, task.end) for task in done] == [
        (1, 12.0, 27.0),
        (2, 21.0, 39.0),
    ]
    assert found.advance(1, refill=refill) == []


def test_ends_at_the_same_time_come_before_new_starts(tmp_path):
    found = clock(tmp_path, num=5)
    content, starts = calls(0)[0].content, []

    def refill():
        while len(found.tasks) < 2:
            found.start(len(starts), 1, content)
            starts.append(found.now)

    found.advance(2, refill=refill)
    assert starts == [0.0, 0.0]
    found.advance(1, refill=refill)
    assert starts == [0.0, 0.0, 12.0, 12.0]


def test_the_state_goes_on_where_it_was(tmp_path):
    first, second = clock(tmp_path), clock(tmp_path)
    for client in range(4):
        first.start(client, 1, calls(0)[0].content)
    first.advance(1)
    second.load_state(first.state())
    assert second.advance(2) == first.advance(2)
    assert second.now == first.now
    assert second.started == 4
    assert all(task.fate == DONE for task in second.tasks)


# -- what a request costs ---------------------------------------------------------------------


@pytest.mark.parametrize("held", [1, 9, 10, 11, 25])
@pytest.mark.parametrize("steps", [None, 1, 2, 7])
def test_samples_seen_are_those_of_the_batches(held, steps):
    from fedzda.clients.training import batches

    local = LocalConfig(batch_size=10, epochs=2, steps=steps)
    real = sum(map(len, batches(held, local, np.random.default_rng(0))))
    assert samples_seen(np.array([held]), local).tolist() == [real]


def test_uploads(tmp_path):
    workload = clock(tmp_path).workload
    content = Content({"arrays": MODEL}, configs={"config": {}})
    assert workload.upload(content, 0) == 1000
    content.configs["config"][WITHHELD] = ["running_mean"]
    assert workload.upload(content, 0) == 800
    content.configs["config"][EXTRA_BYTES] = 7
    assert workload.upload(content, 0) == 807
    assert workload.upload(Content(), 0) == 0


def test_compressed_uploads(tmp_path):
    from dataclasses import replace

    from fedzda.clients.uplink.config import QSGDConfig, TopKConfig

    content = Content({"arrays": MODEL}, configs={"config": {}})
    plain = clock(tmp_path).workload
    assert replace(plain, uplink=TopKConfig(fraction=0.1)).upload(content, 0) == 20 * 8 + 200
    assert replace(plain, uplink=QSGDConfig(bits=4)).upload(content, 0) == 100 + 4 + 200


def test_a_deadline_that_nobody_meets(tmp_path):
    with pytest.raises(UserError, match=r"deadline is 11 s, which no client.* fastest takes 12 s"):
        clock(tmp_path, deadline=11.0).workload.check(MODEL)
    clock(tmp_path, deadline=12.0).workload.check(MODEL)


def test_a_model_that_does_not_fit(tmp_path):
    entry = {"share": 1.0, "numbers": {"memory": 1799.0}}
    with pytest.raises(UserError, match=r"'p0' has 1,799 bytes.*gradients take 1,800"):
        clock(tmp_path, entry).workload.check(MODEL)
