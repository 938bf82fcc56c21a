"""``fedzda export onnx``: the file computes what the run's model computes."""

import importlib.util

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

import fedzda
from fedzda.base import RunError
from fedzda.clients.commands.export_onnx import compared
from fedzda.platform.cli.app import app
from fedzda.platform.config.load import from_dict
from fedzda.platform.simulation import Simulation

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
    from fedzda.platform.data.dealing import dealt, image_of

    federation = dealt(run.config, tmp_path)
    model = run.model()
    file = tmp_path / "model.onnx"
    export_float(model, image_of(federation), file)
    with torch.no_grad():
        next(model.parameters()).add_(0.5)
    with pytest.raises(RunError, match="computes something else than the model"):
        compared(model, file, federation)
    assert not file.exists()


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
