"""Kill for real: a worker, a whole run, a client. Nothing is lost, and the result is the same."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import yaml

from fedzda.base import RunError
from fedzda.platform import checkpoint
from fedzda.platform.config_load import load_config
from fedzda.platform.simulation import Simulation

pytestmark = pytest.mark.e2e

BAD_MODEL = '''
import os, signal, time
from pathlib import Path
import torch
from torch import nn


class Net(nn.Module):
    """Misbehaves at its first training batch, once (a flag file remembers) or always."""

    def __init__(self, how, flag, always=False):
        super().__init__()
        self.how, self.flag, self.always = how, Path(flag), always
        layers = [nn.Flatten(), nn.Linear(64, 16), nn.BatchNorm1d(16), nn.Linear(16, 10)]
        self.net = nn.Sequential(*layers)

    def forward(self, x):
        if self.training and (self.always or not self.flag.exists()):
            self.flag.touch()
            if self.how == "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            if self.how == "raise":
                raise ValueError("the camera is broken")
            if self.how == "hang":
                time.sleep(60)
            if self.how == "nan":
                return self.net(x) * float("nan")
        return self.net(x)
'''


def study(folder: Path, how: str, **changes) -> Path:
    (folder / "bad_model.py").write_text(BAD_MODEL)
    raw = {
        "name": "crash",
        "rounds": 3,
        "data": {"name": "digits", "clients": 8, "max_samples": 320},
        "model": {
            "target": "bad_model:Net",
            "args": {"how": how, "flag": str(folder / f"flag-{how}")},
        },
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


def same(first, second):
    return all(np.array_equal(value, second[name]) for name, value in first.items())


def test_a_killed_worker_loses_no_client_and_changes_nothing(tmp_path):
    killed = run(study(tmp_path, "kill"))
    assert (tmp_path / "flag-kill").exists()
    calm = run(study(tmp_path, "none"))
    assert same(weights(killed), weights(calm))
    assert killed.summary["failures"] == {"retried": 0, "lost": 0}


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
    engine = {"name": "inline"}
    skipped = run(study(tmp_path, "raise", engine=engine, on_client_error="skip"))
    assert skipped.summary["failures"] == {"retried": 0, "lost": 1}
    first = skipped.rounds.iloc[0]
    assert (first["clients.done"], first["clients.failed"]) == (5, 1)
    (tmp_path / "flag-raise").unlink()
    retried = run(study(tmp_path, "raise", engine=engine, on_client_error="retry"))
    assert retried.summary["failures"] == {"retried": 1, "lost": 0}
    assert same(weights(retried), weights(run(study(tmp_path, "none", engine=engine))))


def test_too_few_successes_stop_the_run(tmp_path):
    model = {"target": "bad_model:Net", "args": {"how": "raise", "flag": "x", "always": True}}
    with pytest.raises(RunError, match="0% of 6 clients succeeded, min_success is 50%"):
        run(
            study(tmp_path, "raise", model=model, engine={"name": "inline"}, on_client_error="skip")
        )


@pytest.mark.parametrize("engine", ["inline", "ray"])
def test_a_killed_run_resumes_to_the_same_end(tmp_path, engine):
    path = study(tmp_path, "none", engine={"name": engine}, rounds=40)
    command = [sys.executable, "-m", "fedzda", "run", str(path), "--quiet"]
    process = subprocess.Popen(command, cwd=tmp_path)
    folder = _wait_for_round(tmp_path / "runs", 3)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (folder / "summary.json").exists()
    resumed = Simulation.resume(folder)
    assert same(weights(resumed), weights(run(path)))
    rounds = resumed.rounds["round"].tolist()
    assert rounds == list(range(1, 41))


def test_ctrl_c_ends_soon_with_a_resumable_folder(tmp_path):
    path = study(tmp_path, "none", rounds=4000)
    command = [sys.executable, "-m", "fedzda", "run", str(path)]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    folder = _wait_for_round(tmp_path / "runs", 2)
    start = time.monotonic()
    os.kill(process.pid, signal.SIGINT)
    _, told = process.communicate(timeout=30)
    assert process.returncode == 130
    assert time.monotonic() - start < 10
    assert f"fedzda resume {folder}" in told
    assert '"interrupted"' in (folder / "status.json").read_text()
    assert checkpoint.newest_round(folder / "checkpoints") >= 2


def _wait_for_round(output: Path, round_: int) -> Path:
    for _ in range(1200):
        for folder in output.glob("*_crash_*"):
            if checkpoint.newest_round(folder / "checkpoints") >= round_:
                return folder
        time.sleep(0.05)
    raise AssertionError("the run did not come that far within a minute")
