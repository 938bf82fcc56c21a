import numpy as np
import torch

from fedzda.platform.engines.calls import Call, Chunk, ChunkResult, Reply
from fedzda.platform.engines.recovery import Fault, Recovery, Task
from fedzda.platform.engines.worker import add_reply, new_total
from fedzda.platform.records import Content

DEATH = Fault("client killed its worker")
HANG = Fault("client hung", certain=True)


def chunk(*clients, **options):
    calls = [Call(client, "train", 1, Content(), Content()) for client in clients]
    return Chunk(4, calls, [len(calls)], **options)


def trained(client):
    value = torch.from_numpy(np.random.default_rng(client).normal(size=5))
    content = Content({"arrays": {"w": value}}, {"metrics": {"num-examples": client + 3}})
    return Reply(client, content)


def alone(task):
    return ChunkResult(task.chunk.index, [trained(task.chunk.calls[0].client)])


def test_the_first_lost_worker_counts_as_bad_luck():
    task = Task(chunk(1, 2, 3))
    assert Recovery().after(task, DEATH) == [task]


def test_a_chunk_that_loses_two_workers_is_taken_apart():
    task = Task(chunk(1, 2, 3, reduce="naive", retry=True))
    recovery = Recovery()
    recovery.after(task, DEATH)
    parts = recovery.after(task, DEATH)
    assert [part.chunk.calls[0].client for part in parts] == [1, 2, 3]
    assert [len(part.chunk.calls) for part in parts] == [1, 1, 1]
    assert all(part.chunk.reduce == "" and part.chunk.retry for part in parts)


def test_a_fault_that_would_only_repeat_takes_the_chunk_apart_at_once():
    assert len(Recovery().after(Task(chunk(1, 2, 3)), HANG)) == 3


def test_parts_are_put_together_in_the_order_of_the_calls_however_they_come():
    recovery = Recovery()
    whole = chunk(1, 2, 3, 4, reduce="naive")
    parts = recovery.after(Task(whole), HANG)
    lost = recovery.after(parts[1], HANG)
    assert recovery.settle(parts[3], alone(parts[3])) is None
    assert recovery.settle(parts[1], lost) is None
    assert recovery.settle(parts[0], alone(parts[0])) is None
    result = recovery.settle(parts[2], alone(parts[2]))
    assert [reply.client for reply in result.replies] == [1, 2, 3, 4]
    assert [reply.error for reply in result.replies] == [None, "client hung", None, None]
    wanted = new_total("naive")
    for client in (1, 3, 4):
        add_reply(wanted, trained(client))
    assert result.index == 4
    assert result.total.weight == wanted.weight == 4 + 6 + 7
    assert torch.equal(result.total.sums["w"], wanted.sums["w"])
    assert all(not reply.content.arrays for reply in result.replies)


def test_a_single_call_is_blamed_for_its_second_worker_only():
    recovery = Recovery()
    task = Task(chunk(7, reduce="pooled"))
    assert recovery.after(task, DEATH) == [task]
    lost = recovery.after(task, DEATH)
    assert lost.replies == [Reply(7, error="client killed its worker")]
    assert lost.total.weight == 0
    assert recovery.settle(task, lost) is lost


def test_a_hung_client_runs_again_only_where_the_policy_is_retry():
    assert Recovery().after(Task(chunk(7)), HANG).replies[0].error == "client hung"
    recovery = Recovery()
    task = Task(chunk(7, retry=True))
    assert recovery.after(task, HANG) == [task]
    assert recovery.settle(task, alone(task)).replies[0].retried
    assert recovery.after(task, HANG).replies == [Reply(7, error="client hung", retried=True)]


def test_under_the_policy_fail_a_blamed_client_ends_its_chunk_at_once():
    recovery = Recovery()
    parts = recovery.after(Task(chunk(1, 2, 3, fail_fast=True)), HANG)
    assert recovery.settle(parts[0], alone(parts[0])) is None
    result = recovery.settle(parts[1], recovery.after(parts[1], HANG))
    assert [reply.client for reply in result.replies] == [1, 2]
