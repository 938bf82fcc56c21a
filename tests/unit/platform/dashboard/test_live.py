"""Streams of events: something is sent when it is new, and the stream of a run ends with it."""

import asyncio
import json
import shutil

import pytest

from fedzda.platform.dashboard import live
from fedzda.platform.dashboard.index import RunIndex
from fedzda.platform.runs import RunFolder

from ..report.make_run import make_run, unfinish


@pytest.fixture
def run(tmp_path):
    folder = RunFolder(unfinish(make_run(tmp_path / "run", rounds=6), "running"))
    folder.status("running", 4, 6, eta_sec=60.0)
    return folder


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(live, "RUN_PAUSE_SEC", 0.01)
    monkeypatch.setattr(live, "LIST_PAUSE_SEC", 0.01)


async def never():
    return False


def gather(stream, steps):
    """The events of a stream; ``steps`` are done one after each event, the last one ends it."""

    async def follow():
        found = []
        left = iter(steps)
        async for text in stream:
            found.append(text)
            step = next(left, None)
            if step is None:
                break
            step()
        await stream.aclose()
        return found

    return asyncio.run(asyncio.wait_for(follow(), 20))


def content(text):
    return json.loads(text.partition("data: ")[2])


def test_a_run_is_followed_to_its_end(run):
    index = RunIndex(run.path.parent)
    events = gather(
        live.run_events(index, "run", never),
        [
            lambda: run.status("running", 5, 6, eta_sec=30.0),
            lambda: run.status("finished", 6, 6),
            lambda: None,
            lambda: None,
        ],
    )
    assert [content(e).get("round") for e in events] == [4, 5, 6, None]
    assert content(events[0])["left"].startswith("about ")
    assert content(events[1])["sentence"] == "Round 5 of 6 is done."
    assert content(events[2])["sentence"] == "The run is finished after round 6 of 6."
    assert events[3].startswith("event: end\n")
    assert all(e.endswith("\n\n") for e in events)


def test_a_run_that_is_removed_ends_its_stream(run):
    index = RunIndex(run.path.parent)
    events = gather(
        live.run_events(index, "run", never), [lambda: shutil.rmtree(run.path), lambda: None]
    )
    assert events[-1].startswith("event: end\n")


def test_the_list_tells_what_changed_and_what_is_new(run, tmp_path):
    index = RunIndex(tmp_path)
    make_run(tmp_path / "quiet", rounds=1)
    stream = live.list_events(index, never)

    async def follow():
        found = [await anext(stream)]  # all: the page may be older than the stream
        run.status("running", 5, 6)
        found.append(await anext(stream))
        make_run(tmp_path / "second", rounds=1)
        found.append(await anext(stream))
        await stream.aclose()
        return found

    found = [content(text) for text in asyncio.run(asyncio.wait_for(follow(), 20))]
    assert set(found[0]["runs"]) == {"run", "quiet"}
    assert found[0]["runs"]["run"]["round"] == "4 of 6"
    assert set(found[1]["runs"]) == {"run"}
    assert found[1]["runs"]["run"]["round"] == "5 of 6"
    assert set(found[2]["runs"]) == {"second"}


def test_a_stream_ends_when_nobody_listens(run):
    async def over():
        return True

    assert gather(live.run_events(RunIndex(run.path.parent), "run", over), []) == []
    assert gather(live.list_events(RunIndex(run.path.parent), over), []) == []


def test_quiet_streams_send_comments(run, monkeypatch):
    monkeypatch.setattr(live, "QUIET_SEC", 0.02)
    events = gather(live.run_events(RunIndex(run.path.parent), "run", never), [lambda: None])
    assert events[1].startswith(": ")
