"""``fedzda merge``: files, figures, errors, exit codes."""

import json

import pytest
import torch
import typer
from typer.testing import CliRunner

from fedzda.base import ImageSpec
from fedzda.clients.classifiers import build_model, load_classifier, save_classifier
from fedzda.clients.commands.merge import _kept_blocks, _tell_shared
from fedzda.platform.cli.app import app
from fedzda.platform.config.load import from_dict
from fedzda.platform.simulation import Simulation

LENET = {"name": "lenet-bn", "width": 4}
QUICK = [
    "synthesizer={name: zs-cgan, steps: 2, batch_size: 10, channels: 4}",
    *("steps=2", "store=20", "batch_size=10"),
]
FLAGS = [
    *("--classes", "--mean", "--model", "--out", "--seed", "--shape", "--std", "--student"),
    *("--test-first", "--test-second", "FIRST", "SECOND", "[key=value]..."),
]


def call(*arguments):
    return CliRunner().invoke(app, ["merge", *map(str, arguments)])


def problem(*arguments):
    result = call(*arguments)
    assert result.exit_code == 2, result.output
    return result.stderr


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Weights of three and of two classes."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FEDZDA_CACHE", str(tmp_path / "cache"))
    for name, classes in (("a", 3), ("b", 2)):
        image = ImageSpec((1, 8, 8), classes, (0.3,), (0.38,))
        with torch.random.fork_rng():
            torch.manual_seed(classes)
            save_classifier(
                build_model(LENET, image), tmp_path / f"{name}.safetensors", LENET, image
            )
    return tmp_path


def test_the_options_are_these():
    group = typer.main.get_command(app)
    command = group.resolve_command(typer.Context(group), ["merge"])[1]
    found = []
    for param in command.params:
        found += param.opts if param.param_type_name == "option" else [param.metavar]
    assert sorted(found) == sorted(FLAGS)


def test_two_files_become_one(folder):
    done = call("a.safetensors", "b.safetensors", *QUICK, "--out", "new/both.safetensors")
    assert done.exit_code == 0, done.output
    assert "training LeNetBN of 5 classes" in done.stdout
    made = load_classifier(folder / "new" / "both.safetensors")
    assert made.image.num_classes == 5
    assert made.block == LENET
    record = json.loads((folder / "new" / "both.json").read_text())
    assert record["first"]["classifier"] == load_classifier(folder / "a.safetensors").fingerprint
    assert record["config"]["steps"] == 2
    assert record["tested"] == [None, None]
    # the result is a checkpoint like any other, of which a further merge is made
    again = call("new/both.safetensors", "b.safetensors", *QUICK, "--out", "seven.safetensors")
    assert again.exit_code == 0, again.output
    assert load_classifier(folder / "seven.safetensors").image.num_classes == 7


def test_runs_are_tested_on_their_own_data(folder):
    raw = {
        "name": "digits",
        "rounds": 1,
        "data": {"name": "digits", "clients": 1, "max_samples": 300},
        "model": LENET,
        "strategy": {"name": "fed-avg"},
        "engine": {"name": "inline"},
        "report": False,
    }
    run = Simulation.build(from_dict(raw)).run()
    done = call(run.path, "a.safetensors", *QUICK, "--out", "both.safetensors")
    assert done.exit_code == 0, done.output
    record = json.loads((folder / "both.json").read_text())
    assert record["tested"][1] is None
    alone = record["tested"][0]["before"]
    assert alone == pytest.approx(run.summary["global_test"]["accuracy"])
    assert "0 to 9" in done.stdout
    assert f"{alone:.1%}" in done.stdout


def test_wrong_input(folder):
    pair = ("a.safetensors", "b.safetensors")
    assert "no file or folder 'c.safetensors'" in problem("a.safetensors", "c.safetensors")
    assert "--out must end in .safetensors" in problem(*pair, "--out", "both.pt")
    assert "exists already" in problem(*pair, "--out", "a.safetensors")
    assert "'stepz'" in problem(*pair, "stepz=3")
    assert "no models named 'lenet-bm'" in problem(*pair, *QUICK, "--student", "lenet-bm")
    assert not (folder / "merged").exists()


def test_a_student_of_other_classes_is_refused(folder):
    (folder / "fixed_heads.py").write_text(
        "from torch import nn\n\n\ndef net():\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(64, 3), nn.BatchNorm1d(3))\n"
    )
    pair = ("a.safetensors", "b.safetensors")
    said = problem(*pair, *QUICK, "--student", "fixed_heads:net", "init=scratch")
    assert "gives answers of shape (1, 3) for one image, and the two models have 5" in said
    assert "--student" in said


def test_single_keys_of_the_default_blocks_can_be_set(folder):
    """As in docs/methods/class-incremental.md: the name need not be said again."""
    done = call(
        *("a.safetensors", "b.safetensors", "synthesizer.steps=2", "synthesizer.batch_size=10"),
        *("optimizer.lr=0.01", "steps=2", "store=20", "batch_size=10", "--out", "c.safetensors"),
    )
    assert done.exit_code == 0, done.output
    config = json.loads((folder / "c.json").read_text())["config"]
    made, optimizer = config["synthesizer"], config["optimizer"]
    assert (made["name"], made["steps"], made["batch_size"]) == ("zs-cgan", 2, 10)
    assert (optimizer["name"], optimizer["lr"]) == ("adam", 0.01)
    other = _kept_blocks(["synthesizer.name=image-distillation", "optimizer={name: sgd, lr: 0.1}"])
    assert other == {}


def test_classes_that_both_runs_have_are_named(folder, capsys):
    for name in ("one", "two"):
        path = folder / name
        path.mkdir()
        raw = {"name": name, "rounds": 1, "data": {"name": "digits", "clients": 2},
               "model": LENET, "strategy": {"name": "fed-avg"}}  # fmt: skip
        (path / "config.yaml").write_text(json.dumps(raw))
        (path / "meta.json").write_text(json.dumps({"source_folder": str(folder)}))
    _tell_shared("one", "two")
    assert "both have the classes 0, 1, 2, 3, 4, 5 and 4 more;" in capsys.readouterr().err
    _tell_shared("one", "a.safetensors")
    assert capsys.readouterr() == ("", "")


def test_a_block_without_a_name_is_told(folder):
    told = problem("a.safetensors", "b.safetensors", "optimizer={lr: 0.01}")
    assert "'optimizer' should be a block of keys with a name" in told
