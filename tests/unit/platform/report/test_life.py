"""The page of a life, from the folders of its stages alone."""

import json
import os
import shutil

import pytest

from fedzda.base import UserError
from fedzda.platform.config.yaml_loader import dump
from fedzda.platform.report.life import chart
from fedzda.platform.report.life.build import build_life
from fedzda.platform.report.life.data import collect_life

from .make_run import make_run

QUANTIZED = {
    "config": {"weights": {"bits": 4}, "activations": {"bits": 8}, "stage": "adaround"},
    "accuracy": {"float": 0.98, "quantized": 0.97, "onnxruntime": 0.965},
    "bytes": {"float32": 90_400, "packed": 12_000, "file_float32": 89_500, "file_int8": 25_400},
    "logits_sqnr_db": 21.5,
}


def entry(what, seconds, state="finished"):
    return {"state": state, "seconds": seconds, "what": what}


def make_life(folder, evil=""):
    """Two runs on two classes of devices, a command, and a stage that waits."""
    for seed, name in enumerate(("train", "deploy")):
        run = make_run(folder / name, seed=seed)
        summary = json.loads((run / "summary.json").read_text())
        summary["by_device"] = {
            device: {"accuracy": {"n": 5, "mean": 0.9 - 0.1 * seed - 0.2 * place, "worst10": 0.5}}
            for place, device in enumerate(("phone", f"watch{evil}"))
        }
        (run / "summary.json").write_text(json.dumps(summary))
    (folder / "w4").mkdir()
    (folder / "w4" / "report.json").write_text(json.dumps(QUANTIZED))
    sheets = sorted((folder / "train" / "artifacts").glob("samples-round-*.png"))
    shutil.copy(sheets[-1], folder / "w4" / "samples.png")
    stages = {
        "train": {"about": f"They learn.{evil}", "simulation": {"name": "train"}},
        "w4": {"command": "quantize"},
        "deploy": {"simulation": {"name": "deploy"}},
        "grow": {"about": "More comes.", "simulation": {"name": "grow"}},
    }
    (folder / "life.yaml").write_text(dump({"name": f"small{evil}", "seed": 4, "stages": stages}))
    ledger = {
        "train": entry("simulation, 6 rounds of fed-zdac", 61.0),
        "w4": entry("quantize --weights 4 train", 5.0),
        "deploy": entry("simulation, a test, no training", 2.5),
    }
    (folder / "stages.json").write_text(json.dumps(ledger))
    (folder / "status.json").write_text(json.dumps({"state": "interrupted", "stage": ""}))
    return folder


def test_what_is_read(tmp_path):
    data = collect_life(make_life(tmp_path))
    assert (data.name, data.seed, data.state, data.done) == ("small", 4, "interrupted", 3)
    assert data.seconds == pytest.approx(68.5)
    states = [stage.state for stage in data.stages]
    assert states == ["finished", "finished", "finished", "waiting"]
    assert data.stages[2].devices["phone"].mean == pytest.approx(0.8)
    assert [stage.name for stage in chart.tested(data)] == ["train", "deploy"]
    assert data.stages[1].sheet.name == "samples.png"


def test_the_chart_follows_every_class_of_devices(tmp_path):
    drawn = chart.draw(collect_life(make_life(tmp_path)))
    assert drawn.columns == ["Devices", "train", "deploy"]
    assert [row[0] for row in drawn.rows] == ["phone", "watch"]
    assert "90.0" in drawn.rows[0][1]
    assert "60.0" in drawn.rows[1][2]
    assert "watch" in drawn.svg


def test_the_page_has_all_stages(tmp_path):
    text = build_life(make_life(tmp_path)).read_text(encoding="utf-8")
    for words in ("They learn.", "quantize --weights 4 train", "waiting", "W4A8", "12.0\u00a0kB"):
        assert words in text
    assert "96.5\u00a0%" in text
    assert text.count("data:image/png;base64") < 3  # the command's are those of train
    assert "s images, in train" in text
    assert "http://" not in text.replace("http://www.w3.org", "")


def test_names_are_text_whatever_they_hold(tmp_path):
    text = build_life(make_life(tmp_path, evil="<script>alert(1)</script>")).read_text()
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert" in text


def test_a_life_that_has_only_begun(tmp_path):
    (tmp_path / "life.yaml").write_text("name: new\nseed: 0\nstages:\n  a: {command: quantize}\n")
    text = build_life(tmp_path).read_text()
    assert "waiting" in text
    assert chart.draw(collect_life(tmp_path)) is None


def test_without_a_sign_of_life_it_was_killed(tmp_path):
    folder = make_life(tmp_path)
    ledger = json.loads((folder / "stages.json").read_text())
    ledger["deploy"]["state"] = "running"
    (folder / "stages.json").write_text(json.dumps(ledger))
    (folder / "status.json").write_text(json.dumps({"state": "running", "stage": "deploy"}))
    assert collect_life(folder).stages[2].state == "running"
    os.utime(folder / "status.json", (1, 1))
    data = collect_life(folder)
    assert (data.state, data.stages[2].state, data.done) == ("killed", "killed", 2)


def test_wrong_folders(tmp_path):
    with pytest.raises(UserError, match=r"it has no life\.yaml"):
        build_life(tmp_path)
    (tmp_path / "life.yaml").write_text("stages: 3")
    with pytest.raises(UserError, match="is damaged"):
        build_life(tmp_path)
