"""``fedzda validate``: the numbered checks, and what they may not import."""

import importlib.util
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from fedzda.platform.cli.app import app


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
        (["sim.yaml", "rounds=-1"], "2  keys and values", "override 'rounds=-1'"),
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


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            "devices=[{profile: phone-low, share: 1, availability: {name: trace, path: no.json}}]",
            "no.json",
        ),
        ("start_from=no.safetensors", "nothing is there"),
    ],
)
def test_files_that_the_configuration_names_are_looked_at(folder, change, words):
    result = validate("sim.yaml", change)
    assert result.exit_code == 2
    assert words in result.stderr


def test_a_tracker_that_is_not_installed_is_told(folder, monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda n: None if n == "wandb" else found(n))
    result = validate("sim.yaml", "trackers=[wandb]")
    assert result.exit_code == 2
    assert "tracker 'wandb' needs a package that is not installed" in result.stderr
