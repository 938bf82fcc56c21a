"""What every registered form of the model must do; the rules are those of ``fedzda check``."""

import importlib.util

import pytest

from fedzda.base import ImageSpec
from fedzda.platform.catalog import CATALOG
from fedzda.platform.conformance import check

SETTINGS = {
    "width-fedrolex": {"method": "fedrolex", "ratio": 0.5},
    "width-fjord": {"method": "fjord", "ratio": 0.5},
    "width-shared": {"batchnorm": "shared"},
    "depth": {"stages": 2},
    "depth-whole": {"stages": 3, "distillation": 0.3},
    "quantized-tested": {"train": False},
    "auto": {"ladder": [1.0, 0.5]},
    "auto-forms": {"forms": ["full", {"name": "quantized", "train": False}]},
    "auto-depths": {"forms": [{"name": "depth", "stages": 3}, {"name": "depth"}]},
    "ddim": {"steps": 2},
}
"""Beside every variant with its defaults: those that work in another way."""
NAMES = sorted({*CATALOG["variants"], *SETTINGS})
SIMPLE = not all(importlib.util.find_spec(name) for name in ("onnx", "onnxruntime"))


DIFFUSION = """
name: diffusion
data: {name: digits, clients: 4, max_samples: 60, test_fraction: 0.25}
model: {name: diffusion-unet, widths: [8, 8], layers: 1}
task: {name: diffusion, samples: 2, sampling_steps: 4}
local: {batch_size: 16}
strategy: {name: fed-avg}
evaluate: {every: 0}
"""
"""What variants that sample fit into; their images are made in tests of the task."""
SAMPLES = ("ddim", "frdiff", "tdq")


@pytest.mark.parametrize("name", NAMES)
def test_keeps_the_rules(name, tmp_path):
    if name in ("int8", "onnx") and SIMPLE:
        pytest.skip("needs the extra 'export'")
    args, simulation = dict(SETTINGS.get(name, {})), None
    if name == "onnx":
        args["file"] = str(exported(tmp_path / "model.onnx"))
    if name in SAMPLES:
        simulation = tmp_path / "diffusion.yaml"
        simulation.write_text(DIFFUSION)
    target = CATALOG["variants"][name.partition("-")[0]].target
    report = check(target, args=args, simulation=simulation)
    assert report.kind == "variant"
    assert len(report.findings) == 10
    assert report.problems == []


def exported(file):
    """A finished model of the images of the check."""
    from fedzda.clients.classifiers import build_model
    from fedzda.compression.onnx_export import export_float

    image = ImageSpec((1, 8, 8), 10, (0.3,), (0.4,))
    model = build_model({"name": "lenet-bn", "width": 4}, image)
    export_float(model.eval(), image, file)
    return file
