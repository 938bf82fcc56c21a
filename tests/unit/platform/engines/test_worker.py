import time

import pytest
import torch

from fedzda.platform.engines.calls import HandlerSpec
from fedzda.platform.engines.worker import ClientTimeoutError, Worker, resident_mb, time_limit


@pytest.fixture(scope="module")
def worker(spec):
    return Worker(spec, seed=5, client_timeout=0.2)


def test_a_failing_client_leaves_the_sum_of_the_others(worker, chunks):
    everybody = worker.run(chunks(4, 4)[0])
    assert everybody.total.weight == 1 + 2 + 3 + 4
    some = worker.run(chunks(4, 4, bad=[2], how="raise")[0])
    assert [bool(reply.error) for reply in some.replies] == [False, False, True, False]
    assert "ValueError: the camera is broken" in some.replies[2].error
    assert some.total.weight == 1 + 2 + 4
    assert not torch.equal(some.total.sums["w"], everybody.total.sums["w"])


def test_a_client_that_leaves_the_program_has_failed(worker, chunks):
    replies = worker.run(chunks(2, 2, bad=[0], how="exit")[0]).replies
    assert "SystemExit: 3" in replies[0].error
    assert replies[1].error is None


def test_a_slow_client_is_stopped(worker, chunks):
    start = time.monotonic()
    replies = worker.run(chunks(2, 2, bad=[0], how="sleep")[0]).replies
    assert "ClientTimeoutError" in replies[0].error
    assert time.monotonic() - start < 5


def test_fail_fast_runs_nobody_after_the_first_failure(worker, chunks):
    chunk = chunks(4, 4, {"fail_fast": True}, bad=[1], how="raise")[0]
    assert [reply.client for reply in worker.run(chunk).replies] == [0, 1]


def test_retry_runs_a_client_twice(worker, chunks, tmp_path):
    request = {"bad": [1], "how": "raise", "flag": str(tmp_path / "flag")}
    result = worker.run(chunks(2, 2, {"retry": True}, **request)[0])
    assert [(reply.error, reply.retried) for reply in result.replies] == [
        (None, False),
        (None, True),
    ]
    calm = worker.run(chunks(2, 2)[0])
    assert torch.equal(result.total.sums["w"], calm.total.sums["w"])


def together(plug, **arguments):
    spec = HandlerSpec("misbehaving:Together", arguments, (str(plug),))
    return Worker(spec, seed=0, client_timeout=0.1)


def test_replies_made_together_are_summed_up_and_share_the_time(plug, chunks):
    result = together(plug, seconds=0.05).run(chunks(4, 4)[0])
    assert result.total.sums["w"].unique().tolist() == [0 + 1 + 2 + 3]
    assert result.total.weight == 4
    assert all(0.01 < reply.seconds < 0.1 for reply in result.replies)


@pytest.mark.parametrize("arguments", [{"factor": float("nan")}, {"seconds": 1.0}])
def test_where_serving_together_fails_everybody_is_served_alone(plug, chunks, arguments):
    result = together(plug, **arguments).run(chunks(4, 4)[0])
    assert result.total.sums["w"].unique().tolist() == [0 + 1 + 2 + 3]


def test_the_alarm_is_taken_back():
    with time_limit(0.05):
        pass
    time.sleep(0.1)
    with pytest.raises(ClientTimeoutError, match=r"client_timeout = 0\.05 s"), time_limit(0.05):
        time.sleep(5)


def test_resident_memory_grows_with_what_is_held():
    before = resident_mb()
    held = torch.ones(2**20 * 80)  # more than a process keeps of what it has freed before
    assert 50 < resident_mb() - before < 350
    del held
