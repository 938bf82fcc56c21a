"""One wrong input of each kind: exit code 2, a sentence that helps, and no run folder."""

import numpy as np
import pytest
import yaml
from PIL import Image
from typer.testing import CliRunner

from fedzda.platform.cli.app import app

pytestmark = pytest.mark.e2e

GOOD = {
    "name": "study",
    "rounds": 1,
    "data": {"name": "digits", "clients": 5},
    "model": {"name": "lenet-bn"},
    "strategy": {"name": "fed-avg"},
    "engine": {"name": "inline"},
    "report": False,
}


def invoke(folder, monkeypatch, *overrides, **blocks):
    monkeypatch.chdir(folder)
    (folder / "study.yaml").write_text(yaml.safe_dump({**GOOD, **blocks}, sort_keys=False))
    result = CliRunner().invoke(app, ["run", "study.yaml", *overrides])
    return result.exit_code, " ".join((result.output + result.stderr).split())


def make_images(folder, broken=False):
    for label in ("cat", "dog"):
        (folder / "photos" / label).mkdir(parents=True)
        for number in range(8):
            pixels = np.full((8, 8, 3), 20 * number, np.uint8)
            Image.fromarray(pixels).save(folder / "photos" / label / f"{number}.png")
    if broken:
        (folder / "photos" / "dog" / "3.png").write_bytes(b"no image at all")


NET = """
from torch import nn


def net(classes):
    return nn.Sequential(nn.Flatten(), nn.Linear(64, classes))
"""

CASES = [
    ({"rouns": 3}, [], "study.yaml:1[0-9]?: unknown key 'rouns'. Did you mean 'rounds'"),
    ({"rounds": "ten"}, [], "'rounds' should be a valid integer"),
    ({"rounds": -1}, [], "'rounds' should be greater than or equal to 0"),
    ({}, ["data.test_fraction=1.5"], "override 'data.test_fraction=1.5'"),
    ({"strategy": {"name": "fedavg"}}, [], "Did you mean 'fed-avg'"),
    ({}, ["data.clients=5000"], "data.clients is 5000"),
    ({}, ["strategy.clients_per_round=9"], "clients_per_round"),
    ({"data": {"name": "parquet", "path": "nowhere", "clients": 2}}, [], "nowhere"),
    (
        {"data": {"name": "parquet", "path": "${FEDZDA_DATA}/mnist", "clients": 2}},
        [],
        "FEDZDA_DATA",
    ),
    (
        {
            "data": {
                "name": "digits",
                "clients": 3,
                "partition": {"name": "pathological", "classes_per_client": 2},
            }
        },
        [],
        "class . .* held by no client",
    ),
    ({"model": {"target": "no_such_module:Net"}}, [], "no_such_module:Net' cannot be imported"),
    ({"model": {"target": "nets:nett", "args": {}}}, [], "has no 'nett'. Did you mean 'net'"),
    ({"model": {"target": "nets:net", "args": {"clases": 10}}}, [], "clases"),
    ({"model": {"target": "nets:net", "args": {"classes": 7}}}, [], "10 classes|7"),
    (
        {"model": {"name": "lenet-bn", "norm": "group"}, "strategy": {"name": "fed-zdac"}},
        [],
        "BatchNorm.*norm",
    ),
    ({}, ["engine.device=cuda"], "torch sees no GPU"),
]


@pytest.mark.parametrize(("blocks", "overrides", "sentence"), CASES, ids=[c[2] for c in CASES])
def test_configuration_and_parts(tmp_path, monkeypatch, blocks, overrides, sentence):
    import re

    monkeypatch.delenv("FEDZDA_DATA", raising=False)
    (tmp_path / "nets.py").write_text(NET)
    code, told = invoke(tmp_path, monkeypatch, *overrides, **blocks)
    assert code == 2, told
    assert re.search(sentence, told), told
    assert "Traceback" not in told
    assert not (tmp_path / "runs").exists()


def test_a_wrong_metric_is_not_told_after_hours_of_training(tmp_path, monkeypatch):
    """And nobody is told to go on with a run that is no longer there."""
    code, told = invoke(tmp_path, monkeypatch, "stop={metric: acuracy, target: 0.5}", rounds=1)
    assert code == 2
    assert "stop.metric is 'acuracy', but clients are evaluated by accuracy, loss" in told
    assert "fedzda resume" not in told
    assert not list((tmp_path / "runs").iterdir())


def test_a_model_that_no_memory_holds(tmp_path, monkeypatch):
    code, told = invoke(tmp_path, monkeypatch, "model={name: mlp, hidden: [999999999]}")
    assert code == 1
    assert "there is not enough memory" in told
    assert "Traceback" not in told
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("what", ["unreadable", "empty"])
def test_images(tmp_path, monkeypatch, what):
    if what == "unreadable":
        make_images(tmp_path, broken=True)
    else:
        (tmp_path / "photos").mkdir()
    data = {"name": "folder", "path": "photos", "clients": 2}
    code, told = invoke(tmp_path, monkeypatch, data=data, model={"name": "cnn"})
    assert code == 2, told
    assert ("dog/3.png" if what == "unreadable" else "photos") in told
    assert not (tmp_path / "runs").exists()
