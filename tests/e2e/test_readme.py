"""The README's Python and YAML are run as they stand."""

import re
from pathlib import Path

import pytest

from fedzda.platform.config.load import load_config
from fedzda.platform.simulation import Simulation

pytestmark = pytest.mark.e2e
README = (Path(__file__).resolve().parents[2] / "README.md").read_text()


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.S)


def test_the_notebook_example(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code = next(block for block in blocks("python") if "fedzda.run" in block)
    names = {}
    exec(code, names)
    assert len(names["accuracy"]) == 20
    assert not names["model"].training
    assert names["same"].summary == names["run"].summary


def test_the_model_of_ones_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = next(block for block in blocks("python") if "class Net" in block)
    study = next(block for block in blocks("yaml") if "my_models:Net" in block)
    (tmp_path / "my_models.py").write_text(model)
    (tmp_path / "study.yaml").write_text(study)
    loaded = load_config(tmp_path / "study.yaml")
    run = Simulation.build(loaded.config, loaded.folder).run()
    assert run.summary["metrics"]["accuracy"]["mean"] > 0.3


def test_every_line_about_data_is_a_valid_block(tmp_path, monkeypatch):
    monkeypatch.setenv("FEDZDA_DATA", "/nowhere")
    lines = next(block for block in blocks("yaml") if "photos" in block).splitlines()
    assert len(lines) == 4
    for line in lines:
        (tmp_path / "one.yaml").write_text(
            f"name: one\nmodel: {{name: lenet-bn}}\nstrategy: {{name: fed-avg}}\n{line}\n"
        )
        assert load_config(tmp_path / "one.yaml").config.data.clients >= 10
