"""``fedzda watch``: one frame, a killed run, a run that goes on meanwhile."""

import json
import os
import re
import threading
import time

import pytest
from typer.testing import CliRunner

from fedzda.platform.cli.app import app
from fedzda.platform.cli.watch import frame
from fedzda.platform.files import json_line
from fedzda.platform.heartbeat import STALE_SEC, beating
from fedzda.platform.runs import RunFolder


def row(round_, mean=None, failed=0):
    seconds = {"schedule": 0.0, "transfer": 0.1, "train": 0.6, "aggregate": 0.1, "evaluate": 0.2}
    figures = {"loss": {"mean": 1.0, "worst10": 2.0}, "accuracy": {"mean": mean, "worst10": 0.25}}
    return {
        "round": round_,
        "seconds": {**seconds, "total": 1.0},
        "bytes": {"down": 2_000_000, "up": 1_000_000},
        "clients": {"sampled": 4, "done": 4 - failed, "failed": failed},
        "metrics": figures if mean is not None else {},
    }


@pytest.fixture
def folder(tmp_path):
    found = RunFolder(tmp_path)
    found.rounds.write_text(
        json_line(row(1, 0.5)) + json_line(row(2, 0.75, failed=1)) + json_line(row(3)) + '{"round',
        encoding="utf-8",
    )
    found.status("running", 3, 10, eta_sec=75.2)
    return found


def call(*arguments):
    return CliRunner().invoke(app, ["watch", *map(str, arguments)])


def test_one_frame_says_where_the_run_stands(folder):
    result = call(folder.path, "--once")
    assert result.exit_code == 0
    shown = re.sub(r"ETA 1:1[0-4]$", "ETA 1:15", result.output, flags=re.M)  # it counts down
    assert shown.splitlines() == [
        f"run       {folder.path}",
        "state     running, round 3 of 10, ETA 1:15",
        "accuracy  mean 0.750, worst 10 % 0.250 (round 2)",
        "seconds   1.00 per round: train 60%, evaluate 20%, transfer 10%, aggregate 10%, "
        "schedule 0%",
        "bytes     6.0 MB down, 3.0 MB up",
        "clients   4 in the last round, 1 lost to errors in all",
    ]


def test_before_the_first_round_there_is_little_to_say(tmp_path):
    RunFolder(tmp_path).status("starting", 0, 10)
    assert frame(tmp_path).splitlines()[1:] == ["state  starting, round 0 of 10"]


def test_a_run_without_a_sign_of_life_was_killed(folder):
    past = time.time() - STALE_SEC - 60
    os.utime(folder.path / "status.json", (past, past))
    result = call(folder.path)  # without --once: it ends by itself
    assert result.exit_code == 0
    line = result.output.splitlines()[1]
    assert "killed" in line
    assert "no sign of life for 1:30" in line
    assert f"fedzda resume {folder.path}" in line


def test_it_ends_when_the_run_ends_and_says_why(folder):
    def rest_of_the_run():
        time.sleep(1.5)
        folder.rounds.write_text(json_line(row(4, 0.9)), encoding="utf-8")
        folder.status("finished", 4, 10, stopped="accuracy (mean) reached 0.9")

    thread = threading.Thread(target=rest_of_the_run)
    thread.start()
    result = call(folder.path)
    thread.join()
    states = [line for line in result.output.splitlines() if line.startswith("state")]
    assert states[0].startswith("state     running, round 3 of 10")
    assert states[-1] == "state     finished, round 4 of 10, stopped: accuracy (mean) reached 0.9"
    assert "mean 0.900" in result.output


def test_the_heart_beats_between_rounds(folder):
    status = folder.path / "status.json"
    os.utime(status, (1.0, 1.0))
    with beating(status, every_sec=0.01):
        deadline = time.time() + 5
        while status.stat().st_mtime < 2 and time.time() < deadline:
            time.sleep(0.01)
    assert status.stat().st_mtime > time.time() - 10
    assert json.loads(status.read_text(encoding="utf-8"))["round"] == 3


@pytest.mark.parametrize(
    ("name", "text"), [("status.json", "{"), ("rounds.jsonl", '{"round\n{"round": 2}\n')]
)
def test_a_damaged_file_is_named(folder, name, text):
    (folder.path / name).write_text(text)
    result = call(folder.path, "--once")
    assert result.exit_code == 2
    assert "is not readable JSON" in result.output


def test_another_folder_is_the_users_error(tmp_path):
    result = call(tmp_path)
    assert result.exit_code == 2
    assert "is not a run folder" in result.output


def test_a_damaged_status_of_a_finished_run_is_no_reason_to_go_on(folder):
    (folder.path / "status.json").write_text("{")
    assert f"fedzda resume {folder.path}" in call(folder.path, "--once").output
    (folder.path / "summary.json").write_text("{}")
    assert f"look at it with: fedzda report {folder.path}" in call(folder.path, "--once").output
