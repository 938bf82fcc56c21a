"""``fedzda synthesize``: files, figures, errors, exit codes."""

import json

import pytest
import torch
import typer
from PIL import Image
from sklearn.datasets import load_digits
from typer.testing import CliRunner

from fedzda.base import ImageSpec
from fedzda.clients.classifiers import build_model, save_classifier
from fedzda.generators.files import read_state, read_tensors
from fedzda.platform.cli.app import app

IMAGE = ImageSpec((1, 8, 8), 10, (0.3,), (0.38,))
LENET = {"name": "lenet-bn", "width": 4}
FLAGS = [
    *["--classes", "--count", "--data", "--judge", "--mean", "--model", "--out", "--seed"],
    *["--shape", "--std", "--synthesizer", "CHECKPOINT", "[key=value]..."],
]
TINY = ["steps=5", "batch_size=20", "channels=8"]


def call(*arguments):
    return CliRunner().invoke(app, ["synthesize", *map(str, arguments)])


def trained(seed):
    data = load_digits()
    x = IMAGE.normalize(torch.tensor(data.images / 16.0, dtype=torch.float32)[:, None])
    labels = torch.tensor(data.target, dtype=torch.int64)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = build_model(LENET, IMAGE)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
        for rows in torch.randperm(len(labels)).split(32):
            optimizer.zero_grad()
            torch.nn.functional.cross_entropy(model(x[rows]), labels[rows]).backward()
            optimizer.step()
    return model.eval()


@pytest.fixture(scope="module")
def teachers(tmp_path_factory):
    folder = tmp_path_factory.mktemp("teachers")
    for seed, name in enumerate(("first", "second")):
        save_classifier(trained(seed), folder / f"{name}.safetensors", LENET, IMAGE)
    torch.save(trained(0).state_dict(), folder / "bare.pt")
    return folder


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FEDZDA_CACHE", str(tmp_path / "cache"))
    return tmp_path


def test_the_options_are_these(folder):
    group = typer.main.get_command(app)
    command = group.resolve_command(typer.Context(group), ["synthesize"])[1]
    found = []
    for param in command.params:
        found += param.opts if param.param_type_name == "option" else [param.metavar]
    assert sorted(found) == sorted(FLAGS)
    assert call("-h").exit_code == 0


def test_everything_is_written_and_judged_beside_real_images_and_noise(teachers, folder):
    arguments = [teachers / "first.safetensors", *TINY, "steps=60", "--count", "60", "--out", "a/b"]
    extra = ["--data", "digits", "--judge", teachers / "second.safetensors"]
    result = call(*arguments, *extra)
    assert result.exit_code == 0, result.output
    out = folder / "a" / "b"
    assert {path.name for path in out.iterdir()} == {
        "generator.safetensors",
        "samples.png",
        "samples.safetensors",
        "quality.json",
    }
    saved = read_state(out / "generator.safetensors")
    quality = json.loads((out / "quality.json").read_text())
    assert saved.classifier == quality["classifier"]
    assert saved.config["steps"] == 60
    samples, _ = read_tensors(out / "samples.safetensors")
    assert samples["images"].shape == (60, 1, 8, 8)
    assert torch.bincount(samples["labels"]).tolist() == [6] * 10
    assert Image.open(out / "samples.png").size[0] > 0
    rows = {row["set"]: row for row in quality["quality"]}
    assert list(rows) == ["synthetic", "real", "noise"]
    assert rows["real"]["frechet"] < rows["noise"]["frechet"]
    for word in ("frechet", "coverage", "synthetic", "agrees with", str(out.relative_to(folder))):
        assert word in result.output


def test_the_same_seed_gives_the_same_images(teachers, folder):
    marks = []
    for out, seed in (("a", 1), ("b", 1), ("c", 2)):
        arguments = [teachers / "first.safetensors", *TINY, "--count", 20, "--out", out]
        assert call(*arguments, "--seed", seed).exit_code == 0
        marks.append(read_tensors(folder / out / "samples.safetensors")[0]["images"])
    assert torch.equal(marks[0], marks[1])
    assert not torch.equal(marks[0], marks[2])


def test_bare_weights_another_synthesizer_and_a_folder_by_default(teachers, folder):
    described = ["--model", "{name: lenet-bn, width: 4}", "--shape", "1,8,8", "--classes", 10]
    settings = ["steps=3", "batch_size=20", "--synthesizer", "image-distillation", "--count", 20]
    result = call(teachers / "bare.pt", *described, "--mean", 0.3, "--std", "0.38", *settings)
    assert result.exit_code == 0, result.output
    (made,) = (folder / "synthesis").iterdir()
    assert "image-distillation_s0" in made.name
    assert read_tensors(made / "samples.safetensors")[0]["images"].shape == (20, 1, 8, 8)


def test_a_collapse_is_said_aloud(teachers, folder):
    result = call(teachers / "first.safetensors", *TINY, "steps=1", "--count", 40)
    assert result.exit_code == 0
    assert "warning: " in result.stderr


def problem(*arguments):
    result = call(*arguments)
    assert result.exit_code == 2, result.output
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result.stderr


def test_bad_input_is_one_sentence_each(teachers, folder):
    first, bare = teachers / "first.safetensors", teachers / "bare.pt"
    lenet = ["--model", "{name: lenet-bn, width: 4}"]
    assert "there is no file or folder 'gone.pt'" in problem("gone.pt")
    assert "give both" in problem(bare, *lenet, "--shape", "1,8,8")
    assert "must be numbers" in problem(bare, *lenet, "--shape", "1x8", "--classes", 10)
    assert "do not fit model" in problem(bare, *lenet, "--shape", "1,28,28", "--classes", 10)
    assert "must have one number" in problem(
        bare, *lenet, "--shape", "1,8,8", "--classes", 10, "--mean", "1,2"
    )
    assert "no synthesizers named 'zs-gan'" in problem(first, "--synthesizer", "zs-gan")
    wrong = problem(first, "steps=0", "stps=3")
    assert "override 'steps=0': 'steps' should be greater than or equal to 1 (got 0)." in wrong
    assert "unknown key 'stps'. Did you mean 'steps'?" in wrong
    (folder / "there").mkdir()
    assert "exists already" in problem(first, "--out", "there")
    assert not (folder / "synthesis").exists()


def test_models_that_cannot_be_inverted(teachers, folder):
    image = ImageSpec((1, 8, 8), 10, (0.5,), (0.5,))
    block = {"name": "lenet-bn", "norm": "group"}
    save_classifier(build_model(block, image), folder / "group.safetensors", block, image)
    assert "no BatchNorm layer with running statistics" in problem("group.safetensors", *TINY)
    single = ImageSpec((1, 8, 8), 1, (0.5,), (0.5,))
    save_classifier(build_model(LENET, single), folder / "one.safetensors", LENET, single)
    assert "at least 2 classes (got 1)" in problem("one.safetensors", *TINY)
    wrong = ImageSpec((1, 12, 12), 10, (0.5,), (0.5,))
    save_classifier(
        build_model({"name": "mlp"}, image),
        folder / "mlp.safetensors",
        {
            "target": "fedzda.clients.models.mlp:MLP",
            "args": {"in_channels": 1, "num_classes": 10, "image_size": [8, 8]},
        },
        wrong,
    )
    assert "images of shape (1, 12, 12)" in problem("mlp.safetensors", *TINY)


def test_settings_that_would_mean_nothing_are_refused(teachers, folder):
    first = teachers / "first.safetensors"
    assert "together with --shape and --classes" in problem(first, "--mean", "0.5")
    five = "{name: digits, classes: [0, 1, 2, 3, 4]}"
    assert "--data has 5 classes, the classifier 10" in problem(first, "--data", five)


def test_one_image_and_a_block(teachers, folder):
    block = "{name: zs-cgan, steps: 2, batch_size: 20, channels: 8}"
    arguments = ["--count", 1, "--data", "digits", "--synthesizer", block]
    result = call(teachers / "first.safetensors", *arguments)
    assert result.exit_code == 0, result.output
    (made,) = (folder / "synthesis").iterdir()
    assert made.name.endswith("_zs-cgan_s0")
    rows = json.loads((made / "quality.json").read_text())["quality"]
    assert [row["coverage"] for row in rows] == [None] * 3
