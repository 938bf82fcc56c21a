from fedzda.platform.engines.calls import Call, Chunk, ChunkResult, Reply
from fedzda.platform.engines.pace import Pace
from fedzda.platform.records import Content


def chunk(index, *clients, phase="train"):
    calls = [Call(c, phase, 1, Content(), Content()) for c in clients]
    return Chunk(index, calls, [len(calls)])


def learn(pace, chunk, *replies, journey=0.0):
    busy = sum(reply.seconds for reply in replies)
    pace.learn(chunk, ChunkResult(chunk.index, list(replies), busy_sec=busy), busy + journey)


def order(pace, *chunks):
    return [found.index for found in pace.longest_first(chunks)]


def test_unmeasured_chunks_go_by_their_number_of_clients_then_by_position():
    assert order(Pace(9), chunk(0, 1), chunk(1, 2, 3), chunk(2, 4, 5), chunk(3, 6)) == [1, 2, 0, 3]


def test_the_longest_goes_first_and_the_newest_measurement_counts():
    pace = Pace(9)
    chunks = chunk(0, 0, 1), chunk(1, 2, 3)
    learn(pace, chunks[0], Reply(0, seconds=1.0), Reply(1, seconds=2.0))
    learn(pace, chunks[1], Reply(2, seconds=3.0), Reply(3, seconds=0.5))
    assert order(pace, *chunks) == [1, 0]
    learn(pace, chunks[1], Reply(2, seconds=0.1), Reply(3, seconds=0.5))
    assert order(pace, *chunks) == [0, 1]


def test_an_unknown_client_counts_as_a_typical_one():
    pace = Pace(9)
    learn(pace, chunk(0, 0, 1), Reply(0, seconds=4.0), Reply(1, seconds=2.0))
    assert order(pace, chunk(0, 1), chunk(1, 8), chunk(2, 0)) == [2, 1, 0]


def test_phases_are_measured_apart_and_failures_are_not_measured():
    pace = Pace(9)
    learn(pace, chunk(0, 0), Reply(0, seconds=9.0, error="it broke"))
    learn(pace, chunk(0, 1, phase="evaluate"), Reply(1, seconds=9.0))
    assert order(pace, chunk(0, 2), chunk(1, 0), chunk(2, 1)) == [0, 1, 2]


def test_a_chunk_gets_so_large_that_its_journey_is_a_small_part():
    pace = Pace(9)
    assert pace.smallest_chunk("train") == 1
    learn(pace, chunk(0, 0, 1), Reply(0, seconds=1.0), Reply(1, seconds=1.0), journey=0.001)
    assert pace.smallest_chunk("train") == 1
    learn(pace, chunk(0, 0, phase="evaluate"), Reply(0, seconds=0.01), journey=0.02)
    assert pace.smallest_chunk("evaluate") == 18
