"""``fedzda quantize``: files, figures, errors, exit codes."""

import importlib.util
import json

import numpy as np
import pytest
import torch
import typer
from sklearn.datasets import load_digits
from torch import nn
from typer.testing import CliRunner

from fedzda.base import ImageSpec
from fedzda.clients.classifiers import build_model, save_classifier
from fedzda.generators.files import read_state
from fedzda.platform.cli.app import app

pytestmark = pytest.mark.skipif(
    not all(importlib.util.find_spec(name) for name in ("onnx", "onnxruntime")),
    reason="needs the extra 'export'",
)

IMAGE = ImageSpec((1, 8, 8), 10, (0.3,), (0.38,))
LENET = {"name": "lenet-bn", "width": 4}
FLAGS = [
    *["--activations", "--classes", "--count", "--data", "--export", "--mean", "--model", "--out"],
    *["--seed", "--shape", "--stage", "--std", "--test", "--weights", "CHECKPOINT"],
    "[key=value]...",
]
TINY = "{name: zs-cgan, steps: 5, batch_size: 20, channels: 8}"


ODD = """
import torch
from torch import nn


class Odd(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv, self.norm = nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4)
        self.linear = nn.Linear(4, 10)

    def forward(self, x):
        return self.linear(torch.erf(self.norm(self.conv(x))).mean(dim=(2, 3)))
"""
"""A model with an operation that has no ONNX form."""


MAKER = """
import torch


class Grey:
    def fit(self, classifier, classes, image, rng):
        self.shape = image.shape
        return {"agreement": 0.0, "bn_loss": 0.0}

    def sample(self, labels, rng):
        return torch.rand(len(labels), *self.shape, generator=rng)

    def state(self):
        return {}

    def load_state(self, state, image):
        pass

    def save(self, path, classifier_fingerprint=""):
        path.write_bytes(b"")
"""
"""The least that counts as a synthesizer."""


def call(*arguments):
    return CliRunner().invoke(app, ["quantize", *map(str, arguments)])


def problem(*arguments):
    result = call(*arguments)
    assert result.exit_code == 2, result.output
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result.stderr


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    data = load_digits()
    x = IMAGE.normalize(torch.tensor(data.images / 16.0, dtype=torch.float32)[:, None])
    labels = torch.tensor(data.target, dtype=torch.int64)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = build_model(LENET, IMAGE)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
        for rows in torch.randperm(len(labels)).split(32):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x[rows]), labels[rows]).backward()
            optimizer.step()
    path = tmp_path_factory.mktemp("teacher") / "digits.safetensors"
    save_classifier(model.eval(), path, LENET, IMAGE)
    return path


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FEDZDA_CACHE", str(tmp_path / "cache"))
    return tmp_path


def report(path):
    return json.loads((path / "report.json").read_text())


def test_the_options_are_these(folder):
    group = typer.main.get_command(app)
    command = group.resolve_command(typer.Context(group), ["quantize"])[1]
    found = []
    for param in command.params:
        found += param.opts if param.param_type_name == "option" else [param.metavar]
    assert sorted(found) == sorted(FLAGS)
    assert call("-h").exit_code == 0


def test_without_data_everything_is_written_and_tested(teacher, folder):
    result = call(
        *[teacher, "--weights", 4, "--activations", 8, "--data", TINY, "--test", "digits"],
        *["--count", 40, "--out", "a/b"],
    )
    assert result.exit_code == 0, result.output
    out = folder / "a" / "b"
    assert {path.name for path in out.iterdir()} == {
        *["model.onnx", "float32.onnx", "report.json", "report.md", "generator.safetensors"],
        "samples.png",
    }
    found = report(out)
    assert found["config"]["weights"]["bits"] == 4
    assert (
        found["synthesizer"]["steps"] == read_state(out / "generator.safetensors").config["steps"]
    )
    accuracy = found["accuracy"]
    assert accuracy["float"] > 0.6
    assert abs(accuracy["quantized"] - accuracy["onnxruntime"]) <= 2 / found["test_images"]
    assert found["bytes"]["packed"] < found["bytes"]["float32"] / 2
    assert {row["bits"] for row in found["tensors"] if row["role"] == "weight"} == {4}
    assert len(found["layers"]) == sum(row["role"] == "weight" for row in found["tensors"])
    page = (out / "report.md").read_text()
    for words in ("in ONNX Runtime", "times smaller", "symmetric, per channel", "| layer |"):
        assert words in page
    for words in ("accuracy on", "per tensor, ema", "error of each layer", "written: a/b"):
        assert words in result.output


def test_with_a_generator_that_was_kept(teacher, folder):
    """Equal to the run that trained it; one for other images is refused."""
    arguments = ["--weights", 4, "--test", "digits", "--count", 40]
    assert call(teacher, *arguments, "--data", TINY, "--out", "first").exit_code == 0
    kept = "first/generator.safetensors"
    assert call(teacher, *arguments, "--data", kept, "--out", "second").exit_code == 0
    models = [(folder / name / "model.onnx").read_bytes() for name in ("first", "second")]
    assert models[0] == models[1]
    found = report(folder / "second")
    assert (found["synthesizer"]["name"], found["fit"]) == ("zs-cgan", {})
    five = ImageSpec((1, 8, 8), 5, (0.3,), (0.38,))
    save_classifier(build_model(LENET, five), folder / "five.safetensors", LENET, five)
    refused = call("five.safetensors", "--data", kept)
    assert refused.exit_code == 2
    assert "makes images of shape (1, 8, 8) and 10 classes" in refused.output
    assert call(teacher, "--data", "gone.safetensors").exit_code == 2


@pytest.mark.parametrize("stage", ["ptq", "adaround", "qat"])
def test_real_images_keep_a_model_at_eight_bits(teacher, folder, stage):
    settings = ["rounding.steps=20", "distillation.steps=5"]
    arguments = ["--data", "real", "--test", "digits", "--count", 60, "--stage", stage]
    result = call(teacher, *settings, *arguments, "--out", "out")
    assert result.exit_code == 0, result.output
    found = report(folder / "out")
    assert found["synthesizer"] is None
    assert found["accuracy"]["quantized"] > found["accuracy"]["float"] - 0.03
    assert found["count"] == 60


def test_the_same_seed_gives_the_same_model(teacher, folder):
    for out, seed in (("a", 1), ("b", 1), ("c", 2)):
        arguments = ["--data", "noise", "--count", 20, "--seed", seed]
        assert call(teacher, *arguments, "--out", out).exit_code == 0
    files = [(folder / out / "model.onnx").read_bytes() for out in "abc"]
    assert files[0] == files[1] != files[2]


def test_without_test_data_agreement_stands_alone(teacher, folder):
    result = call(teacher, "--data", "noise", "--count", 20, "kind=zeroq-compat", "--no-export")
    assert result.exit_code == 0, result.output
    (out,) = (folder / "quantized").iterdir()
    assert out.name.endswith("_w8a8_noise_s0")
    found = report(out)
    assert found["accuracy"] == {}
    assert set(found["agreement"]) == {"quantized"}
    assert "accuracy" not in result.output
    assert {path.name for path in out.iterdir()} == {"report.json", "report.md"}


def test_a_synthesizer_of_ones_own(teacher, folder, monkeypatch):
    (folder / "my_makers.py").write_text(MAKER)
    monkeypatch.syspath_prepend(folder)
    result = call(teacher, "--data", "my_makers:Grey", "--count", 20, "--no-export")
    assert result.exit_code == 0, result.output
    (out,) = (folder / "quantized").iterdir()
    assert out.name.endswith("_w8a8_Grey_s0")
    assert report(out)["synthesizer"] == {"name": "Grey"}


def test_bad_input_is_one_sentence_each(teacher, folder):
    both = problem(teacher, "--weights", 1, "--activations", 9)
    assert "--weights must be from 2 to 8 bits (got 1)" in both
    assert "--activations must be from 2 to 8 bits (got 9)" in both
    assert "name a run folder as CHECKPOINT" in problem(teacher, "--data", "real")
    assert "no synthesizers named 'zs-gan'" in problem(teacher, "--data", "zs-gan")
    assert "Choose one of" in problem(teacher, "--stage", "pqt")
    assert "unknown key 'rouding'" in problem(teacher, "rouding.steps=3")
    assert "has no integer form" in problem(teacher, "kind=zeroq-compat", "--data", "noise")
    other = "{name: arrays, path: images.npz, image: image, label: label}"
    np.savez(
        "images.npz",
        image=np.zeros((40, 12, 12), np.uint8),
        label=np.arange(40, dtype=np.int64) % 10,
    )
    assert "--test has images of shape (1, 12, 12)" in problem(teacher, "--test", other)
    few = "{name: arrays, path: few.npz, image: image, label: label}"
    np.savez(
        "few.npz", image=np.zeros((40, 8, 8), np.uint8), label=np.arange(40, dtype=np.int64) % 3
    )
    assert "--test has 3 classes, the classifier 10" in problem(teacher, "--test", few)
    (folder / "there").mkdir()
    assert "exists already" in problem(teacher, "--out", "there")
    assert not (folder / "quantized").exists()


def test_models_that_cannot_be_quantized(folder, monkeypatch):
    block = {"name": "lenet-bn", "norm": "group"}
    save_classifier(build_model(block, IMAGE), folder / "group.safetensors", block, IMAGE)
    assert "no BatchNorm layer with running statistics" in problem("group.safetensors")
    single = ImageSpec((1, 8, 8), 1, (0.5,), (0.5,))
    save_classifier(build_model(LENET, single), folder / "one.safetensors", LENET, single)
    assert "at least 2 classes (got 1)" in problem("one.safetensors")
    (folder / "odd_nets.py").write_text(ODD)
    monkeypatch.syspath_prepend(folder)
    target = {"target": "odd_nets:Odd"}
    save_classifier(build_model(target, IMAGE).eval(), folder / "odd.safetensors", target, IMAGE)
    said = problem("odd.safetensors", "--data", "noise")
    assert "cannot be exported" in said
    assert "Replace it in the model" in said
    assert call("odd.safetensors", "--data", "noise", "--no-export").exit_code == 0
    large = ["--model", "{name: lenet-bn, width: 4}", "--shape", "1,28,28", "--classes", 10]
    torch.save(build_model(LENET, IMAGE).state_dict(), folder / "bare.pt")
    assert "do not fit model" in problem("bare.pt", *large)
