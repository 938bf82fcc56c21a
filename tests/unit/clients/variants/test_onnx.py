"""A finished ONNX file as a form of the model."""

import importlib.util

import numpy as np
import pytest
import torch

from fedzda.base import ImageSpec, Turn, UserError
from fedzda.clients.classifiers import build_model
from fedzda.clients.variants.config import OnnxConfig
from fedzda.clients.variants.onnx import Onnx
from fedzda.platform.config.load import from_dict

pytestmark = pytest.mark.skipif(
    not all(importlib.util.find_spec(name) for name in ("onnx", "onnxruntime")),
    reason="needs the extra 'export'",
)

IMAGE = ImageSpec((1, 8, 8), 10, (0.3,), (0.38,))
TURN = Turn(0, 0, 0, False)


@pytest.fixture
def model():
    torch.manual_seed(0)
    return build_model({"name": "lenet-bn", "width": 4}, IMAGE).eval()


@pytest.fixture
def file(model, tmp_path):
    from fedzda.compression.config import QuantizeConfig
    from fedzda.compression.quantized import quantize

    pixels = torch.rand(32, 1, 8, 8, generator=torch.Generator().manual_seed(1))
    made = quantize(model, IMAGE, QuantizeConfig(), pixels, torch.Generator())
    made.export(tmp_path / "model.onnx")
    return tmp_path / "model.onnx"


def test_tests_are_those_of_onnx_runtime(model, file):
    import onnxruntime

    form = Onnx(OnnxConfig(file=str(file), label="w8a8"), model, IMAGE)
    images = IMAGE.normalize(torch.rand(20, 1, 8, 8))
    found = form.deploy(form.build(model, TURN), None, TURN)(images)
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    (direct,) = session.run(None, {"images": images.numpy()})
    np.testing.assert_array_equal(found.numpy(), direct)
    assert form.config.title == "w8a8"
    assert not form.config.trains
    assert form.cost().bytes == file.stat().st_size


def test_wrong_files(model, file, tmp_path):
    def said(image=IMAGE, path=file):
        with pytest.raises(UserError) as caught:
            Onnx(OnnxConfig(file=str(path)), build_model({"name": "lenet-bn"}, image), image)
        return str(caught.value)

    assert "there is no file" in said(path=tmp_path / "gone.onnx")
    (tmp_path / "bad.onnx").write_bytes(b"no model")
    assert "cannot be run on images" in said(path=tmp_path / "bad.onnx")
    five = ImageSpec((1, 8, 8), 5, (0.3,), (0.38,))
    assert "gives 10 numbers for an image, and the run has 5 classes" in said(five)
    large = ImageSpec((3, 8, 8), 10, (0.3,) * 3, (0.38,) * 3)
    assert "cannot be run on images of shape (3, 8, 8)" in said(large)


def test_two_files_need_two_labels():
    def read(*labels):
        numbers = {"compute": 1e9, "memory": 1e9, "uplink": 1e6, "downlink": 1e6}
        devices = [{"profile": "phone-high", "share": 0.5}] + [
            {
                "profile": {"name": f"p{i}", **numbers},
                "share": 0.25,
                "variant": {"name": "onnx", "file": f"{i}.onnx", "label": label},
            }
            for i, label in enumerate(labels)
        ]
        raw = {"name": "two", "rounds": 1, "data": {"name": "digits", "clients": 4}}
        rest = {"model": {"name": "mlp"}, "strategy": {"name": "fed-avg"}, "devices": devices}
        return from_dict({**raw, **rest})

    read("one", "two")
    with pytest.raises(UserError, match=r"are called 'onnx', .* Give each ONNX file a 'label'"):
        read("onnx", "onnx")
