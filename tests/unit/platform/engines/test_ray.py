"""Real Ray workers that really die, hang, freeze and leak."""

import os
import signal
import sys
import threading
import time

import pytest
import ray
import torch

from fedzda.base import RunError, UserError
from fedzda.platform.config import InlineConfig, RayConfig
from fedzda.platform.engines import cluster, pool
from fedzda.platform.engines import ray as ray_engine
from fedzda.platform.engines.inline import InlineEngine
from fedzda.platform.engines.ray import RayEngine

from ....crowd import crowd

CLIENTS, SIZE = 12, 4


@pytest.fixture(scope="module")
def running_ray():
    """One Ray for all tests of this file; engines find it and leave it alone."""
    cluster.start_local(RayConfig(workers=4))
    yield
    ray.shutdown()


@pytest.fixture
def engine(running_ray, spec):
    """Starts an engine with the given options; stopped when the test ends."""
    started = []

    def start(**options):
        made = RayEngine(RayConfig(**{"workers": 2, **options}), spec, 5, CLIENTS)
        started.append(made)
        made.start()
        return made

    yield start
    for made in started:
        made.stop()


@pytest.fixture(scope="module")
def two(running_ray, spec):
    """Two workers that tests share: whatever was done to it, an engine goes on as before."""
    made = RayEngine(RayConfig(workers=2, client_timeout=2.0), spec, 5, CLIENTS)
    made.start()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def inline(spec):
    made = InlineEngine(InlineConfig(), spec, 5, CLIENTS)
    made.start()
    return made


def in_order(results):
    return sorted(results, key=lambda result: result.index)


def replies_of(results):
    return [reply for result in in_order(results) for reply in result.replies]


def assert_same_sums(found, wanted):
    for mine, other in zip(in_order(found), in_order(wanted), strict=True):
        assert mine.total.weight == other.total.weight
        assert mine.total.sums.keys() == other.total.sums.keys()
        for name, value in mine.total.sums.items():
            assert torch.equal(value, other.total.sums[name])


def test_a_worker_killed_once_changes_nothing(two, inline, chunks, tmp_path):
    request = {"bad": [5], "how": "kill", "flag": str(tmp_path / "flag")}
    found = list(two.run(chunks(CLIENTS, SIZE, **request)))
    assert (tmp_path / "flag").exists()
    assert [reply.error for reply in replies_of(found)] == [None] * CLIENTS
    assert_same_sums(found, inline.run(chunks(CLIENTS, SIZE)))


@pytest.mark.parametrize(
    ("how", "sentence"),
    [
        ("kill", "client 5 killed its worker process twice ("),
        ("spin", "client 5 took longer than client_timeout = 2.0 s without reacting"),
        ("unpicklable", "cannot pickle"),
    ],
)
def test_the_client_that_does_it_every_time_is_found(two, inline, chunks, how, sentence):
    found = list(two.run(chunks(CLIENTS, SIZE, bad=[5], how=how)))
    errors = {reply.client: reply.error for reply in replies_of(found) if reply.error}
    assert list(errors) == [5]
    assert sentence in errors[5]
    assert_same_sums(found, inline.run(chunks(CLIENTS, SIZE, bad=[5], how="raise")))
    assert_same_sums(two.run(chunks(CLIENTS, SIZE)), inline.run(chunks(CLIENTS, SIZE)))


def test_a_frozen_worker_is_killed_by_the_driver(two, inline, chunks, tmp_path, monkeypatch):
    monkeypatch.setattr(ray_engine, "_FROZEN_GRACE_SEC", 1.0)
    once = {"bad": [5], "how": "freeze", "flag": str(tmp_path / "flag")}
    found = list(two.run(chunks(CLIENTS, 1, {"retry": True}, **once)))
    assert [reply.error for reply in replies_of(found)] == [None] * CLIENTS
    assert [reply.client for reply in replies_of(found) if reply.retried] == [5]
    assert_same_sums(found, inline.run(chunks(CLIENTS, 1)))


def test_a_leaking_worker_is_replaced_between_chunks(engine, inline, chunks):
    made = engine(workers=1, max_worker_mb=1024)
    everybody = list(range(CLIENTS))
    found = list(made.run(chunks(CLIENTS, SIZE, bad=everybody, how="leak")))
    pids = {reply.content.metrics["metrics"]["pid"] for reply in replies_of(found)}
    assert len(pids) == 3
    assert all(result.rss_mb > 1024 for result in found)
    assert_same_sums(found, inline.run(chunks(CLIENTS, SIZE)))


def test_a_limit_below_a_fresh_worker_is_refused(engine):
    with pytest.raises(UserError, match=r"max_worker_mb is 50, but a fresh worker takes \d+ MiB"):
        engine(workers=1, max_worker_mb=50)


def test_the_chunk_that_took_longest_last_time_goes_first(engine, chunks):
    made = engine(workers=1)
    first = list(made.run(chunks(CLIENTS, SIZE, bad=[5], how="nap")))
    assert [result.index for result in first] == [0, 1, 2]
    assert next(made.run(chunks(CLIENTS, SIZE))).index == 1


def test_a_failure_under_the_policy_fail_comes_at_once(two, chunks):
    asked = chunks(2, 1, {"fail_fast": True}, bad=[0], how="raise")
    sleepers = chunks(2, 1, bad=[1], how="sleep")
    start = time.monotonic()
    results = two.run([sleepers[1], asked[0]])
    assert "the camera is broken" in next(results).replies[0].error
    results.close()
    assert time.monotonic() - start < 1.5 * crowd()
    assert len(list(two.run(chunks(CLIENTS, SIZE)))) == 3


def test_jobs_survive_a_killed_worker_and_their_errors_are_raised(two, plug, tmp_path):
    sys.path.insert(0, str(plug))
    import misbehaving

    pids = two.map(misbehaving.die, [str(tmp_path / name) for name in "aab"])
    assert len(pids) == 3
    with pytest.raises(ZeroDivisionError, match="item 7"):
        two.map(misbehaving.broken, [7])
    with pytest.raises(RunError, match="died 3 times at the same work"):
        two.map(misbehaving.always_die, [0])


def test_stop_does_not_wait_for_a_client(engine, chunks):
    made = engine()
    results = made.run(chunks(2, 1, bad=[0, 1], how="sleep"))
    threading.Timer(1.0, os.kill, (os.getpid(), signal.SIGINT)).start()
    start = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        next(results)
    made.stop()
    assert time.monotonic() - start < 4 * crowd()  # the clients sleep for 60


def test_no_room_for_a_worker_is_said(engine, monkeypatch):
    monkeypatch.setattr(pool, "_READY_TIMEOUT_SEC", 6.0)
    with pytest.raises(RunError, match=r"not ready within 6 s: it needs 1 CPU and 0 GPU"):
        engine(workers=3)
