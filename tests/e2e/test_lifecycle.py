"""The life of a model: killed in the middle and gone on with, it ends with the same bits."""

import hashlib
import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from safetensors.numpy import load_file
from typer.testing import CliRunner

from fedzda.base import fingerprint
from fedzda.platform import checkpoint
from fedzda.platform.cli.app import app
from fedzda.platform.runs import load

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(
        not all(importlib.util.find_spec(name) for name in ("onnx", "onnxruntime")),
        reason="needs the extra 'export'",
    ),
]

LIFE = """\
name: tiny
shared:
  data: {name: digits, clients: 4, max_samples: 240, partition: {name: iid}, test_fraction: 0.25}
  model: {name: lenet-bn, width: 4}
  engine: {name: inline}
  report: false
stages:
  train:
    simulation:
      rounds: 3
      strategy:
        name: fed-zdas
        server_start_round: 1
        server_keep: all
        synthesizer: {name: zs-cgan, steps: 4, batch_size: 20, channels: 8}
    changes: {data.classes: [0, 1, 2, 3, 4, 5]}
  w4:
    command: quantize
    options:
      checkpoint: {stage: train}
      data: {stage: train, file: artifacts/generator.safetensors}
      weights: 4
      stage: adaround
      count: 32
      settings: [rounding.steps=20]
  deploy:
    simulation:
      rounds: 0
      start_from: {stage: train}
      strategy: {name: fed-avg}
      devices:
        - profile: phone-low
          share: 1.0
          variant: {name: onnx, label: w4, file: {stage: w4, file: model.onnx}}
    changes: {data.classes: [0, 1, 2, 3, 4, 5]}
  grow:
    simulation:
      rounds: 4
      start_from: {stage: train}
      scenario:
        name: class-incremental
        base_classes: 6
        classes_per_phase: 2
        order_seed: null
        base_rounds: 0
        rounds_per_phase: 2
      strategy:
        name: fed-dfgr
        base: lwf
        dfgr:
          store: 16
          synthesizer: {name: zs-cgan, steps: 4, batch_size: 20, channels: 8}
        dtid: {enabled: false}
"""


def ended(life: Path) -> dict[str, str]:
    """Digests of everything that decides how a model goes on, and of what clients got."""
    found = {}
    for stage in ("train", "deploy", "grow"):
        arrays = checkpoint.load_latest(life / stage / "checkpoints").arrays
        found[stage] = fingerprint(arrays)
        table = load(life / stage).clients
        rows = table[["round", "phase", "client", "metric", "value"]].to_csv()
        found[f"{stage} clients"] = hashlib.sha256(rows.encode()).hexdigest()
    # the order of a safetensors file's metadata is left to chance, that of its tensors is not
    generator = load_file(life / "train" / "artifacts" / "generator.safetensors")
    found["generator"] = fingerprint(generator)
    found["w4"] = hashlib.sha256((life / "w4" / "model.onnx").read_bytes()).hexdigest()
    return found


def only_life(folder: Path) -> Path:
    return next(folder.glob("runs/*_tiny_*"))


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    (folder / "tiny.yaml").write_text(LIFE)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        done = CliRunner().invoke(app, ["run", "tiny.yaml"])
    assert done.exit_code == 0, done.output
    assert "all stages" in done.output
    return only_life(folder)


@pytest.mark.parametrize("moment", ["train/checkpoints/round-000001", "grow/rounds.jsonl"])
def test_killed_and_resumed_it_ends_the_same(moment, undisturbed, tmp_path, monkeypatch):
    (tmp_path / "tiny.yaml").write_text(LIFE)
    process = subprocess.Popen(
        [sys.executable, "-m", "fedzda", "run", "tiny.yaml", "-q"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
    )
    until = time.monotonic() + 300
    while not list(tmp_path.glob(f"runs/*/{moment}")):
        assert process.poll() is None
        assert time.monotonic() < until
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    life = only_life(tmp_path)
    monkeypatch.chdir(tmp_path)
    resumed = CliRunner().invoke(app, ["resume", str(life)])
    assert resumed.exit_code == 0, resumed.output
    stage = moment.partition("/")[0]
    assert f": {stage}\n" in resumed.output
    assert (": train\n" in resumed.output) == (stage == "train")
    assert ended(life) == ended(undisturbed)


def test_what_a_life_leaves(undisturbed):
    ledger = json.loads((undisturbed / "stages.json").read_text())
    assert [entry["state"] for entry in ledger.values()] == ["finished"] * 4
    deploy = load(undisturbed / "deploy").summary
    assert deploy["by_variant"]["w4"]["accuracy"]["n"] == 4
    grown = json.loads((undisturbed / "grow" / "artifacts" / "incremental.json").read_text())
    assert grown["classes_seen"] == [6, 8, 10]
    text = (undisturbed / "report.html").read_text()
    for words in ("W4A8", "deploy", "Images without data", "earlier classes"):
        assert words in text


def test_commands_on_the_folder_of_a_life(undisturbed, tmp_path):
    def said(*words, code):
        result = CliRunner().invoke(app, list(words))
        assert result.exit_code == code, result.output
        return result.output

    assert "all 4 stages" in said("resume", str(undisturbed), code=2)
    assert "goes on as it began" in said("resume", str(undisturbed), "rounds=9", code=2)
    assert "report.html" in said("report", str(undisturbed), code=0)
    (tmp_path / "tiny.yaml").write_text(LIFE)
    file = str(tmp_path / "tiny.yaml")
    assert "tiny.yaml is valid." in said("validate", file, code=0)
    assert "nothing was run" in said("run", file, "--dry-run", code=0)
    assert "lifecycle" in said("list", "simulations", code=0)


def test_a_file_that_a_stage_does_not_leave(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = LIFE.replace("artifacts/generator.safetensors", "artifacts/generator.pt")
    (tmp_path / "tiny.yaml").write_text(text)
    result = CliRunner().invoke(app, ["run", "tiny.yaml", "--fast"])
    assert result.exit_code == 2
    assert "which has left no such file. It has left: " in result.output
    assert "go on with: fedzda resume" in result.output


def test_the_shipped_life_runs_fast(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["run", "lifecycle", "--fast", "shared.report=false"])
    assert result.exit_code == 0, result.output
    assert "stage 8 of 8: deploy-grown" in result.output
