"""``fedzda probe``: copies of training images are found, images of others are not."""

import json

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from fedzda.base import UserError
from fedzda.clients.commands.probe import look
from fedzda.clients.runtime import ClientRuntime
from fedzda.generators.files import write_tensors
from fedzda.platform.cli.app import app
from fedzda.platform.config import plain
from fedzda.platform.config.load import from_dict
from fedzda.platform.simulation import Simulation

ZS_CGAN = {"name": "zs-cgan", "steps": 4, "batch_size": 20, "channels": 8}


def config(folder, strategy, **data):
    return from_dict({
        "name": "probe",
        "rounds": 2,
        "data": {
            "name": "digits", "clients": 6, "test_fraction": 0.3, "validation_fraction": 0.2,
            "partition": {"name": "pathological", "classes_per_client": 4}, **data,
        },
        "model": {"name": "lenet-bn"},
        "strategy": strategy,
        "engine": {"name": "inline"},
        "output": str(folder / "runs"),
        "report": False,
    })  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("probe")


@pytest.fixture(scope="module")
def run(folder):
    """A run of Fed-ZDAC with a generator that is far from good."""
    strategy = {"name": "fed-zdac", "start_round": 1, "gate_agreement": 0.0, "synthesizer": ZS_CGAN}
    return Simulation.build(config(folder, strategy), folder=folder).run()


@pytest.fixture(scope="module")
def runtime(folder):
    made = config(folder, {"name": "fed-avg"})
    simulation = Simulation.build(made, folder=folder)
    return ClientRuntime(plain(made), str(simulation.federation.folder), "cpu")


def call(*arguments):
    return CliRunner().invoke(app, ["probe", *map(str, arguments)])


def test_a_generator_that_copies_training_images_is_flagged(runtime, tmp_path):
    rows = np.array(runtime.federation.pool("train"))[:300]
    copies = runtime.batch(rows)["image"] + 0.05 * torch.randn(300, 1, 8, 8)
    found = look(runtime, copies, 200, 0, tmp_path)
    synthetic, noise, _ = found["sets"]
    assert found["judge"]["accuracy"] > 0.7
    assert synthetic["flagged"]
    assert synthetic["advantage"] > 0.8
    assert synthetic["relative"] < 0.5
    assert not noise["flagged"]
    assert (tmp_path / "probe.png").read_bytes().startswith(b"\x89PNG")


def test_a_generator_that_makes_images_of_its_own_is_not(runtime, tmp_path):
    """As good as a generator can be: real images of the clients that nobody trained on."""
    rows = np.array(runtime.federation.pool("validation"))
    found = look(runtime, runtime.batch(rows)["image"], 200, 0, tmp_path)
    assert not found["sets"][0]["flagged"]
    assert found["sets"][0]["relative"] == pytest.approx(1.0, abs=0.2)


def test_the_probe_is_a_function_of_its_seed(runtime, tmp_path):
    made = runtime.batch(np.arange(40))["image"]
    first, again = (look(runtime, made, 20, 3, tmp_path) for _ in range(2))
    assert first == again


def test_the_command_writes_and_renews_the_report(run):
    (run.path / "report.html").write_text("of before")
    result = call(run.path, "--count", "60", "--steps", "60")
    assert result.exit_code == 0, result.output
    assert "agged" in result.output.splitlines()[-2].lower()
    assert "renewed" in result.output
    found = json.loads((run.path / "artifacts" / "probe.json").read_text())
    assert found["strategy"] == "fed-zdac"
    assert [row["set"] for row in found["sets"]] == ["synthetic", "noise", "fresh real images"]
    assert found["sets"][0]["images"] == 60
    page = (run.path / "report.html").read_text(encoding="utf-8")
    assert "Do synthetic images give clients away?" in page


def test_images_from_a_file(run, tmp_path):
    (run.path / "report.html").unlink(missing_ok=True)  # it takes long to renew
    images = torch.rand(30, 1, 8, 8)
    write_tensors({"images": images, "labels": torch.zeros(30)}, tmp_path / "s.safetensors", {})
    result = call(run.path, "--images", tmp_path / "s.safetensors", "--steps", "20")
    assert result.exit_code == 0, result.output
    write_tensors({"images": images[:, :, :4]}, tmp_path / "t.safetensors", {})
    wrong = call(run.path, "--images", tmp_path / "t.safetensors")
    assert wrong.exit_code == 2
    assert "(1, 4, 8)" in wrong.output


def test_a_generator_of_ensemble_distillation(folder):
    strategy = {
        "name": "ensemble-distillation", "start_round": 1, "warmup_steps": 2, "turns": 1,
        "batch_size": 8, "channels": 8,
    }  # fmt: skip
    run = Simulation.build(config(folder, strategy), folder=folder).run()
    result = call(run.path, "--count", "20", "--steps", "5")
    assert result.exit_code == 0, result.output
    found = json.loads((run.path / "artifacts" / "probe.json").read_text())
    assert found["sets"][0]["images"] == 20


def test_runs_that_cannot_be_probed(folder, tmp_path):
    bare = Simulation.build(config(folder, {"name": "fed-avg"}), folder=folder).run()
    result = call(bare.path)
    assert result.exit_code == 2
    assert "kept no generator of images" in result.output
    assert call(tmp_path).exit_code == 2
    small = config(folder, {"name": "placebo"}, max_samples=60, missing_classes="allow")
    few = Simulation.build(small, folder=folder)
    runtime = ClientRuntime(plain(small), str(few.federation.folder), "cpu")
    with pytest.raises(UserError, match="the clients hold 18 test images"):
        look(runtime, torch.randn(10, 1, 8, 8), 10, 0, tmp_path)
