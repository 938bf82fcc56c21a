"""``fedzda export onnx``: the file computes what the run's model computes."""

import importlib.util

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

import fedzda
from fedzda.base import ImageSpec, RunError
from fedzda.clients.commands.export_onnx import compared, some_images, write
from fedzda.platform.cli.app import app
from fedzda.platform.config.load import from_dict
from fedzda.platform.data.dealing import dealt, image_of
from fedzda.platform.parts import build_task
from fedzda.platform.simulation import Simulation
from fedzda.vision.restoration.networks import DENOISERS, UPSCALERS

pytestmark = pytest.mark.skipif(
    not all(importlib.util.find_spec(name) for name in ("onnx", "onnxruntime")),
    reason="needs the extra 'export'",
)
TINY = {
    "name": "tiny",
    "rounds": 1,
    "data": {"name": "digits", "clients": 2, "max_samples": 60},
    "model": {"name": "lenet-bn", "width": 4},
    "strategy": {"name": "fed-avg"},
    "evaluate": {"every": 0},
    "engine": {"name": "inline"},
    "report": False,
}
ODD = """
import torch
from torch import nn


class Odd(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(64, 10)

    def forward(self, x):
        return self.linear(torch.erf(x.flatten(1)))
"""


def played(folder, **changes):
    config = from_dict({**TINY, "output": str(folder / "runs"), **changes})
    return Simulation.build(config, folder).run()


def call(*arguments):
    return CliRunner().invoke(app, ["export", "onnx", *map(str, arguments)])


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return played(tmp_path_factory.mktemp("run"))


def test_onnx_runtime_computes_the_same(run, tmp_path):
    import onnxruntime

    file = tmp_path / "new" / "model.onnx"
    result = call(run.path, "--out", file)
    assert result.exit_code == 0, result.output
    assert "it takes images (N, 1, 8, 8)" in result.output
    assert float(result.output.split()[-1]) < 1e-5
    images = torch.randn(5, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    session = onnxruntime.InferenceSession(file)
    assert session.get_inputs()[0].shape[1:] == [1, 8, 8]
    (logits,) = session.run(None, {"images": images.numpy()})
    with torch.no_grad():
        expected = fedzda.load(run.path).model()(images).numpy()
    assert np.abs(logits - expected).max() < 1e-5
    again = call(run.path, "--out", file)
    assert again.exit_code == 2
    assert "exists already and is left as it is" in again.output


def test_a_file_of_another_model_is_noticed_and_removed(run, tmp_path):
    from fedzda.compression.onnx_export import export_float

    federation = dealt(run.config, tmp_path)
    model, image = run.model(), image_of(federation)
    images = some_images(build_task(run.config, image), federation)
    file = tmp_path / "model.onnx"
    export_float(model, image, file)
    with torch.no_grad():
        next(model.parameters()).add_(0.5)
    with pytest.raises(RunError, match="computes something else than the model"):
        compared(model, file, images)
    assert not file.exists()


NOISY = {"name": "denoising", "noise": {"name": "gaussian", "sigma": [5, 25]}, "patch": 16}
DNCNN = {"name": "dncnn", "depth": 3, "channels": 4}
TASKS = {
    "plain": ({"task": NOISY, "model": DNCNN}, (3, 16, 24), (3, 16, 24)),
    "map": (
        {"task": {**NOISY, "noise_map": True}, "model": {**DNCNN, "noise_map": True}},
        (6, 16, 24),
        (3, 16, 24),
    ),
    "map on a network that asks for sizes": (
        {
            "task": {**NOISY, "noise_map": True},
            "model": {
                "name": "nafnet",
                "channels": 4,
                "encoder": [1],
                "decoder": [1],
                "noise_map": True,
            },
        },
        (6, 16, 24),
        (3, 16, 24),
    ),
    "crop": ({"task": {**NOISY, "test_crop": 12}, "model": DNCNN}, (3, 12, 12), (3, 12, 12)),
    "enlarging": (
        {
            "task": {
                "name": "super-resolution",
                "scale": 2,
                "patch": 8,
                "degradation": "bicubic",
            },
            "model": {"name": "sr-residual", "scale": 2, "channels": 4, "blocks": 1},
        },
        (3, 8, 12),
        (3, 16, 24),
    ),
}


@pytest.mark.parametrize("name", TASKS)
def test_the_file_takes_what_the_task_gives(name, tmp_path):
    import onnxruntime

    blocks, given, answered = TASKS[name]
    pixels = np.random.default_rng(0).integers(0, 256, (8, 3, 16, 24), np.uint8)
    np.savez(tmp_path / "photos.npz", x=pixels, y=np.arange(8) % 2)
    data = {"name": "arrays", "path": "photos.npz", "image": "x", "label": "y", "clients": 2}
    run = played(tmp_path, data=data, **blocks)
    file = tmp_path / "model.onnx"
    result = call(run.path, "--out", file)
    assert result.exit_code == 0, result.output
    assert f"it takes images (N, {', '.join(map(str, given))})" in result.output
    assert "mean 0, 0, 0" in result.output
    assert ("the first 3 channels are the image's" in result.output) == (given[0] == 6)
    federation = dealt(run.config, tmp_path)
    images = some_images(build_task(run.config, image_of(federation)), federation)
    assert images.shape[1:] == given
    (found,) = onnxruntime.InferenceSession(file).run(None, {"images": images.numpy()})
    with torch.no_grad():
        expected = fedzda.load(run.path).model()(images).numpy()
    assert found.shape[1:] == answered
    assert np.abs(found - expected).max() < 1e-5


@pytest.mark.parametrize("kind", [*DENOISERS, *UPSCALERS], ids=lambda kind: kind.Config().name)
def test_every_restoration_network_has_a_file(kind, tmp_path):
    import onnxruntime

    torch.manual_seed(0)
    image = ImageSpec((6, 16, 24), 1, (0.0,) * 6, (1.0,) * 6)
    if kind in DENOISERS:
        model = kind(kind.Config(noise_map=True), 3).eval()
    else:
        model = kind(kind.Config(), 6).eval()
    with torch.no_grad():
        for weight in model.parameters():
            if not weight.any():  # what starts at 0 would hide mistakes before it
                weight.normal_(0, 0.3)
        images = torch.rand(3, *image.shape)
        expected = model(images).numpy()
    write(model, image, tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx")
    (found,) = session.run(None, {"images": images.numpy()})
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() < 1e-5 * np.abs(expected).max()


def test_what_cannot_be_exported_is_named(tmp_path, monkeypatch):
    (tmp_path / "odd.py").write_text(ODD)
    monkeypatch.syspath_prepend(str(tmp_path))
    run = played(tmp_path, model={"target": "odd:Odd"})
    result = call(run.path, "--out", tmp_path / "model.onnx")
    assert result.exit_code == 2
    assert "erf at 'erf' cannot be exported" in result.output
    assert not (tmp_path / "model.onnx").exists()


def test_a_run_folder_is_wanted(tmp_path):
    result = call(tmp_path)
    assert result.exit_code == 2
    assert "is not a run folder" in result.output
