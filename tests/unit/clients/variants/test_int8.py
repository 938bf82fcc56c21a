"""Integers in ONNX Runtime for networks that answer for every pixel."""

import importlib.util

import numpy as np
import pytest
import torch

from fedzda.base import ImageSpec, Turn, UserError
from fedzda.clients.variants.config import Int8Config
from fedzda.clients.variants.int8 import Int8
from fedzda.vision.gsanet.config import GSANetConfig, LRASPPConfig, MobileNetEdgeConfig
from fedzda.vision.gsanet.lr_aspp import LRASPP
from fedzda.vision.gsanet.model import GSANet
from fedzda.vision.restoration.config import DnCNNConfig, NAFNetConfig, SRResidualConfig
from fedzda.vision.restoration.networks.dncnn import DnCNN
from fedzda.vision.restoration.networks.nafnet import NAFNet
from fedzda.vision.restoration.networks.sr_residual import SRResidual

pytestmark = pytest.mark.skipif(
    not all(importlib.util.find_spec(name) for name in ("onnx", "onnxruntime")),
    reason="needs the extra 'export'",
)
PHOTO = ImageSpec((3, 16, 16), 4, (0.5,) * 3, (0.25,) * 3)
PIXELS = ImageSpec((3, 12, 20), 4, (0.0,) * 3, (1.0,) * 3)
WITH_MAP = ImageSpec((6, 12, 20), 4, (0.0,) * 6, (1.0,) * 6)
SMALL = {"features": MobileNetEdgeConfig(width=0.25, stages=2), "output_stride": 8, "channels": 16}
TURN = Turn(0, 0, 1, training=False)


def segmenter():
    torch.manual_seed(0)
    return LRASPP.build(LRASPPConfig(**SMALL), PHOTO), PHOTO


def attentive_segmenter():
    torch.manual_seed(0)
    rest = {"rates": [1, 2], "low_channels": 8, "decoder_channels": 16}
    return GSANet.build(GSANetConfig(**SMALL, **rest), PHOTO), PHOTO


def denoiser():
    torch.manual_seed(0)
    return DnCNN(DnCNNConfig(depth=4, channels=8), 3), PIXELS


def denoiser_with_map():
    torch.manual_seed(0)
    return DnCNN(DnCNNConfig(depth=4, channels=8, noise_map=True), 3), WITH_MAP


def enlarger():
    torch.manual_seed(0)
    return SRResidual(SRResidualConfig(scale=2, channels=8, blocks=1), 3), PIXELS


@pytest.mark.parametrize(
    "make", [segmenter, attentive_segmenter, denoiser, denoiser_with_map, enlarger]
)
def test_a_client_tests_what_onnx_runtime_answers(make, tmp_path):
    import onnxruntime

    model, image = make()
    form = Int8(Int8Config(images=16), model, image)
    images = image.normalize(torch.rand(16, *image.shape))
    with torch.no_grad():
        model.train()(images)
    found = form.deploy(form.build(model, TURN), images, TURN)(images)
    device_model = form.build(model, TURN)
    form.export(device_model, images, TURN, tmp_path / "it.onnx")
    session = onnxruntime.InferenceSession(
        str(tmp_path / "it.onnx"), providers=["CPUExecutionProvider"]
    )
    (direct,) = session.run(None, {"images": images.numpy()})
    np.testing.assert_array_equal(found.numpy(), direct)
    with torch.no_grad():
        expected = model.eval()(images)
    assert found.shape == expected.shape
    assert float((found - expected).abs().mean()) < 0.1 * float(expected.std())


def test_what_cannot_be_exported_is_refused_before_the_first_round():
    gated = NAFNet(NAFNetConfig(channels=4, encoder=[1], middle=0, decoder=[1]), 3)
    with pytest.raises(UserError, match=r"variant 'int8' cannot be made: model NAFNet .*Choose va"):
        Int8(Int8Config(), gated, PIXELS).cost()
