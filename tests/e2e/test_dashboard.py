"""The dashboard beside a real run: live to its end, stopped by Ctrl-C, closed without its token."""

import json
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from urllib.parse import quote

import pytest

from .dashboard_server import dashboard

pytestmark = pytest.mark.e2e
SECONDS = 90


@pytest.fixture
def running(tmp_path):
    """A run that has begun; its process is waited for at the end."""
    command = [sys.executable, "-m", "fedzda", "run", "quickstart-fed-avg", "-q", "rounds=25"]
    command += ["engine.name=inline", "data.clients=10", f"output={tmp_path / 'runs'}"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    deadline = time.time() + SECONDS
    while not list(tmp_path.glob("runs/*/status.json")):
        assert process.poll() is None
        assert time.time() < deadline
        time.sleep(0.05)
    yield next(tmp_path.glob("runs/*"))
    process.wait(SECONDS)


def read(url):
    with urllib.request.urlopen(url, timeout=SECONDS) as answer:
        return answer.read().decode()


def test_a_run_is_followed_to_its_end(running):
    with dashboard(running.parent) as (address, process):
        run = quote(running.name)
        page = read(f"{address}run?run={run}")
        assert 'data-live-run="' in page, "the run ended before the dashboard was up"
        states = []
        with urllib.request.urlopen(f"{address}run/events?run={run}", timeout=SECONDS) as stream:
            assert stream.headers["content-type"].startswith("text/event-stream")
            for line in stream:
                if line.startswith(b"data: "):
                    states.append(json.loads(line[6:]))
        rounds = [state["round"] for state in states if state]
        assert rounds == sorted(rounds)
        assert len(set(rounds)) > 2
        assert states[-2]["sentence"] == "The run is finished after round 25 of 25."
        assert states[-1] == {}
        page = read(f"{address}run?run={run}")
        assert 'data-live-run="' not in page
        assert 'id="recall"' in page
        assert "25 of 25" in read(address)
        process.send_signal(signal.SIGINT)
        process.wait(20)
        assert process.returncode == 0
        assert process.stderr.read() == ""


def test_it_stops_at_once_while_pages_are_open(tmp_path):
    with dashboard(tmp_path) as (address, process):
        stream = urllib.request.urlopen(f"{address}events", timeout=SECONDS)
        started = time.time()
        process.send_signal(signal.SIGINT)
        process.wait(20)
        assert process.returncode == 0
        assert time.time() - started < 5
        stream.close()


def test_another_address_asks_for_the_token_it_printed(tmp_path):
    with dashboard(tmp_path, "--host", "0.0.0.0") as (address, _):
        port = address.split(":")[2].partition("/")[0]
        token = address.partition("?token=")[2]
        with pytest.raises(urllib.error.HTTPError) as refused:
            read(f"http://127.0.0.1:{port}/")
        assert refused.value.code == 401
        opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
        with opener.open(f"http://127.0.0.1:{port}/?token={token}", timeout=SECONDS) as answer:
            assert answer.url == f"http://127.0.0.1:{port}/"
            assert "There are no runs in this folder yet" in answer.read().decode()
