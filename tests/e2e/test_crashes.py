"""Kill for real: a worker, a whole run, a client. Nothing is lost, and the result is the same."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from fedzda.base import RunError
from fedzda.platform import checkpoint
from fedzda.platform.config.load import load_config
from fedzda.platform.runs import load
from fedzda.platform.simulation import Simulation

from ..crowd import crowd

pytestmark = pytest.mark.e2e

BAD_MODEL = '''
import os, resource, signal, time
from pathlib import Path
import torch
from torch import nn


class Net(nn.Module):
    """Misbehaves at a training batch: once (a flag file remembers), always, or on black images."""

    def __init__(self, how, flag="", when="once", width=16):
        super().__init__()
        self.how, self.flag, self.when = how, Path(flag), when
        layers = [nn.Flatten(), nn.Linear(64, width), nn.BatchNorm1d(width), nn.Linear(width, 10)]
        self.net = nn.Sequential(*layers)

    def is_time(self, x):
        if self.when == "black":
            return bool(x.amax() == x.amin())
        if self.when == "once":
            try:
                self.flag.open("x").close()
            except FileExistsError:
                return False
        return self.when != "flag" or self.flag.exists()

    def forward(self, x):
        if self.training and self.how != "none" and self.is_time(x):
            if self.how == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            if self.how in ("raise", "raise-or-hang"):
                raise ValueError("the camera is broken")
            if self.how == "hang":
                time.sleep(60)
            if self.how == "slow":
                time.sleep(0.005)
            if self.how == "full":
                resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, resource.RLIM_INFINITY))
            if self.how == "nan":
                return self.net(x) * float("nan")
        elif self.training and self.how == "raise-or-hang":
            time.sleep(60)
        return self.net(x)
'''


def study(folder: Path, how: str, when="once", width=16, **changes) -> Path:
    (folder / "bad_model.py").write_text(BAD_MODEL)
    args = {"how": how, "flag": str(folder / f"flag-{how}"), "when": when, "width": width}
    raw = {
        "name": "crash",
        "rounds": 3,
        "data": {"name": "digits", "clients": 8, "max_samples": 320},
        "model": {"target": "bad_model:Net", "args": args},
        "strategy": {"name": "fed-avg", "clients_per_round": 6},
        "engine": {"name": "ray", "workers": 2},
        "report": False,
        "output": str(folder / "runs"),
    }
    raw.update(changes)
    path = folder / "study.yaml"
    path.write_text(yaml.safe_dump(raw))
    return path


def run(path: Path):
    loaded = load_config(path)
    return Simulation.build(loaded.config, loaded.folder).run()


def weights(found):
    return checkpoint.load_latest(found.path / "checkpoints").arrays


def assert_same(first, second):
    """Bit for bit the same weights, client table and rounds, but for the seconds they took."""
    mine, other = weights(first), weights(second)
    assert mine.keys() == other.keys()
    assert all(np.array_equal(value, other[name]) for name, value in mine.items())
    tables = [found.clients.drop(columns="seconds") for found in (first, second)]
    pd.testing.assert_frame_equal(*tables)
    lines = [rounds_without_seconds(found.path) for found in (first, second)]
    assert lines[0] == lines[1]


def rounds_without_seconds(folder):
    rows = [json.loads(line) for line in (folder / "rounds.jsonl").read_text().splitlines()]
    for row in rows:
        assert row.pop("seconds")["total"] > 0
    return rows


INLINE = {"name": "inline"}


def test_a_killed_worker_loses_no_client_and_changes_nothing(tmp_path):
    process = launch(study(tmp_path, "kill"), stdout=subprocess.PIPE)
    told, _ = process.communicate(timeout=200)
    assert process.returncode == 0
    assert (tmp_path / "flag-kill").exists()
    assert len(told.splitlines()) == 1, "standard output belongs to the user"
    killed = load(told.strip())
    assert "a worker was lost and is replaced" in (killed.path / "run.log").read_text()
    assert_same(killed, run(study(tmp_path, "none", engine=INLINE)))
    assert killed.summary["failures"] == {"retried": 0, "lost": 0}


def black_camera(folder, how, **changes):
    """A study of 40 clients, chunks of three; the images of client 7 are all black."""
    images = np.random.default_rng(0).integers(0, 255, (240, 8, 8), np.uint8)
    owner = np.arange(240) % 40
    images[owner == 7] = 0
    np.savez(folder / "data.npz", image=images, label=np.arange(240) // 24, owner=owner)
    data = {"name": "arrays", "path": "data.npz", "partition": {}}
    data["partition"] = {"name": "natural-id", "column": "owner"}
    strategy = {"name": "fed-avg"}
    return study(folder, how, "black", data=data, strategy=strategy, rounds=1, **changes)


def test_the_client_that_kills_every_worker_is_given_up_as_if_it_had_raised(running_ray, tmp_path):
    killed = run(black_camera(tmp_path, "kill", on_client_error="skip"))
    assert killed.summary["failures"] == {"retried": 0, "lost": 1}
    assert_same(killed, run(black_camera(tmp_path, "raise", on_client_error="skip", engine=INLINE)))
    story = (killed.path / "run.log").read_text()
    assert "1 of 40 clients failed; the first: client 7 failed in round 1 (train)" in story
    assert "client 7 killed its worker process twice" in story


def test_under_fail_the_first_traceback_is_shown_and_the_others_stop(running_ray, tmp_path):
    loaded = load_config(study(tmp_path, "raise-or-hang"))
    simulation = Simulation.build(loaded.config, loaded.folder)
    with pytest.raises(RunError, match=r'(?s)bad_model\.py", line.*the camera is broken'):
        simulation.run([started := Started()])
    assert time.monotonic() - started.at < 40  # most of it to start; the others hang for 60


class Started:
    def start(self, simulation, folder):
        self.at = time.monotonic()


@pytest.mark.parametrize(
    ("how", "sentence"),
    [("raise", "the camera is broken"), ("nan", "NaN or infinite"), ("hang", "client_timeout")],
)
def test_a_failing_client_is_named_with_its_reason(tmp_path, how, sentence):
    engine = {"name": "inline", "client_timeout": 1.0}
    with pytest.raises(RunError, match=sentence) as caught:
        run(study(tmp_path, how, engine=engine))
    assert "client " in str(caught.value)
    assert "on_client_error" in str(caught.value)


def test_skip_goes_on_without_the_client_and_retry_runs_it_again(tmp_path):
    skipped = run(study(tmp_path, "raise", engine=INLINE, on_client_error="skip"))
    assert skipped.summary["failures"] == {"retried": 0, "lost": 1}
    first = skipped.rounds.iloc[0]
    assert (first["clients.done"], first["clients.failed"]) == (5, 1)
    (tmp_path / "flag-raise").unlink()
    retried = run(study(tmp_path, "raise", engine=INLINE, on_client_error="retry"))
    assert retried.summary["failures"] == {"retried": 1, "lost": 0}
    assert_same(retried, run(study(tmp_path, "none", engine=INLINE)))


def test_too_few_successes_stop_the_run(tmp_path):
    with pytest.raises(RunError, match="0% of 6 clients succeeded, min_success is 50%"):
        run(study(tmp_path, "raise", "always", engine=INLINE, on_client_error="skip"))


def launch(path: Path, **options):
    command = [sys.executable, "-m", "fedzda", "run", str(path), "--quiet"]
    return subprocess.Popen(command, cwd=path.parent, text=True, **options)


def wait_for_round(output: Path, round_: int) -> Path:
    """The folder of the run under ``output``, as soon as its checkpoint of a round is there."""
    for _ in range(2400):
        for folder in output.glob("*_crash_*"):
            if checkpoint.newest_round(folder / "checkpoints") >= round_:
                return folder
        time.sleep(0.05)
    raise AssertionError("the run did not come that far within two minutes")


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    return run(study(tmp_path_factory.mktemp("calm"), "none", engine=INLINE, rounds=20))


@pytest.mark.parametrize(("seed", "engine"), [(0, "inline"), (1, "inline"), (2, "ray")])
def test_a_killed_run_resumes_to_the_same_end(running_ray, tmp_path, undisturbed, seed, engine):
    chance = random.Random(seed)
    path = study(tmp_path, "slow", "always", engine={"name": engine}, rounds=20)
    process = launch(path)
    folder = wait_for_round(tmp_path / "runs", chance.randint(1, 15))
    time.sleep(chance.random() * 0.1)
    process.kill()
    process.wait()
    assert not (folder / "summary.json").exists()
    resumed = Simulation.resume(folder)
    assert_same(resumed, undisturbed)


@pytest.mark.parametrize(
    ("engine", "number"),
    [
        ({"name": "inline"}, signal.SIGINT),
        ({"name": "ray"}, signal.SIGINT),
        ({"name": "ray", "workers": 1}, signal.SIGTERM),
    ],
)
def test_ctrl_c_in_the_middle_of_a_long_round(running_ray, tmp_path, engine, number):
    """And what batch systems send to the process alone."""
    path = study(tmp_path, "hang", engine=engine, rounds=4000)
    flag = tmp_path / "flag-hang"
    flag.touch()
    # a group of its own, all of which gets the signal, as from a terminal
    process = launch(path, stderr=subprocess.PIPE, start_new_session=True)
    folder = wait_for_round(tmp_path / "runs", 2)
    flag.unlink()
    while not flag.exists():
        time.sleep(0.01)
    time.sleep(0.5)
    start = time.monotonic()
    if number == signal.SIGINT:
        os.killpg(process.pid, number)
    else:
        process.send_signal(number)
    _, told = process.communicate(timeout=60)
    assert process.returncode == 130
    assert time.monotonic() - start < 5 * crowd()
    assert f"fedzda resume {folder}" in told
    assert load(folder).status["state"] == "interrupted"
    done = checkpoint.newest_round(folder / "checkpoints")
    assert done >= 2
    assert Simulation.resume(folder, rounds=done + 1).rounds["round"].iloc[-1] == done + 1


def test_two_runs_started_at_once_never_share_a_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("FEDZDA_CACHE", str(tmp_path / "cache"))
    path = study(tmp_path, "none", engine=INLINE, rounds=2)
    processes = [launch(path, stdout=subprocess.PIPE) for _ in range(2)]
    folders = [Path(process.communicate(timeout=120)[0].strip()) for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert folders[0] != folders[1]
    assert_same(*map(load, folders))


def test_a_disk_that_fills_up_leaves_the_last_good_checkpoint(tmp_path):
    path = study(tmp_path, "full", "flag", width=512, engine=INLINE, rounds=4000)
    process = launch(path, stderr=subprocess.PIPE)
    folder = wait_for_round(tmp_path / "runs", 2)
    (tmp_path / "flag-full").touch()
    _, told = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "Traceback" not in told
    assert "the run failed: the files of the run cannot be written: File too large" in told
    assert f"fedzda resume {folder}" in told
    assert load(folder).status["state"] == "failed"
    done = checkpoint.newest_round(folder / "checkpoints")
    assert [row["round"] for row in rounds_without_seconds(folder)][-1] == done + 1
    assert not list((folder / "checkpoints").glob(".*"))
    (tmp_path / "flag-full").unlink()
    resumed = Simulation.resume(folder, rounds=done + 2)
    assert resumed.rounds["round"].tolist() == list(range(1, done + 3))
