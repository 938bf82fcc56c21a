"""``fedzda validate``: the numbered checks, and what they may not import."""

import subprocess
import sys

import pytest
from typer.testing import CliRunner

from fedzda.platform.cli.app import app

TEXT = """\
name: tiny
data: {name: digits, clients: 4, partition: {name: dirichlet, alpha: 1.0}}
model: {name: mlp}
strategy: {name: fed-avg}
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty working directory, an empty cache, and a small simulation."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FEDZDA_CACHE", str(tmp_path / "cache"))
    (tmp_path / "sim.yaml").write_text(TEXT, encoding="utf-8")
    return tmp_path


def validate(*arguments):
    return CliRunner().invoke(app, ["validate", *arguments])


def test_all_checks_pass(folder):
    result = validate("sim.yaml", "data.clients=5")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert [line[0] for line in lines[:5]] == list("12345")
    assert all(" ok " in line for line in lines[:5])
    assert "1 overridden" in lines[1]
    assert "digits, dirichlet, mlp, classification, fed-avg, uniform, ray" in lines[2]
    assert "images 1x8x8, 10 classes" in lines[3]
    assert "5 clients" in lines[4]
    assert lines[5] == "sim.yaml is valid."


def test_deep_builds_the_model(folder):
    result = validate("sim.yaml", "--deep")
    assert result.exit_code == 0, result.output
    assert "6  model fits the data  ok" in result.stdout
    assert "parameters" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "failed", "words"),
    [
        (["none.yaml"], "1  reads", "there is no file 'none.yaml'"),
        (["sim.yaml", "rounds=0"], "2  keys and values", "override 'rounds=0'"),
        (["sim.yaml", "model={target: 'nowhere:Net'}"], "3  components", "cannot be imported"),
        (["sim.yaml", "data={name: arrays, path: no.npz}"], "4  data", "no.npz"),
    ],
)
def test_a_failed_check_is_named_and_ends_the_command(folder, arguments, failed, words):
    result = validate(*arguments)
    assert result.exit_code == 2
    last = result.stdout.splitlines()[-1]
    assert last.startswith(failed)
    assert last.endswith("FAILED")
    assert words in result.stderr


def test_a_plug_in_is_found_beside_the_file(folder, monkeypatch):
    monkeypatch.setattr(sys, "path", list(sys.path))
    (folder / "my_own_net.py").write_text("class Net: ...\n", encoding="utf-8")
    result = validate("sim.yaml", "model={target: 'my_own_net:Net'}")
    assert result.exit_code == 0, result.output
    assert "my_own_net:Net" in result.stdout
    wrong = validate("sim.yaml", "model={target: 'my_own_net:Nett'}")
    assert "Did you mean 'Net'?" in wrong.stderr


def test_nothing_heavy_is_imported(folder):
    code = (
        "import sys\n"
        "from fedzda.platform.cli.app import app\n"
        "app(['validate', 'sim.yaml'], standalone_mode=False)\n"
        "print([name for name in ('torch', 'flwr', 'ray', 'flwr_datasets') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
