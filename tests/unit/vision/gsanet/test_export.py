import pytest
import torch
from torch import nn

from fedzda.base import ImageSpec
from fedzda.compression import quantize
from fedzda.compression.config import QuantizeConfig
from fedzda.vision.gsanet.config import GSANetConfig, LRASPPConfig, MobileNetEdgeConfig
from fedzda.vision.gsanet.costs import count_costs, latency_ms
from fedzda.vision.gsanet.lr_aspp import LRASPP
from fedzda.vision.gsanet.model import GSANet
from fedzda.vision.gsanet.onnx_export import export_onnx

SMALL = {"features": MobileNetEdgeConfig(width=0.5, stages=2), "output_stride": 8, "channels": 32}
IMAGE = ImageSpec((3, 45, 62), 5, (0.5,) * 3, (0.25,) * 3)


def build(**options):
    torch.manual_seed(0)
    config = GSANetConfig(**SMALL, rates=[1, 2], decoder_channels=32, **options)
    return GSANet(config, IMAGE).eval()


@pytest.mark.parametrize(
    "options",
    [
        {"norm": "group"},
        {"norm": "batch", "attention": "entmax15", "heads": 2},
        {"attention": "softmax", "condense": "global", "diffuse": "scale"},
        {"attention": "none", "fusion": "concat", "decoder": "plain"},
    ],
    ids=str,
)
def test_onnx_gives_equal_outputs(options, tmp_path):
    runtime = pytest.importorskip("onnxruntime")
    model = build(**options)
    assert export_onnx(model, IMAGE, tmp_path / "net.onnx") > 0
    session = runtime.InferenceSession(tmp_path / "net.onnx")
    images = torch.randn(3, *IMAGE.shape)
    (found,) = session.run(None, {"images": images.numpy()})
    with torch.no_grad():
        expected = model(images)
    gap = (torch.from_numpy(found) - expected).abs().max()
    assert gap < 1e-5 * expected.abs().max() + 1e-5, float(gap)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"attention": "entmax15", "heads": 2, "learn_temperature": True},
        {"attention": "softmax", "condense": "global", "diffuse": "scale"},
        {"attention": "none", "decoder": "plain"},
    ],
    ids=str,
)
def test_integers_give_nearly_equal_outputs(options, tmp_path):
    """Attention over positions stays float: with scores on 256 levels the support would change."""
    runtime = pytest.importorskip("onnxruntime")
    model = build(norm="group", **options)
    pixels = torch.rand(8, *IMAGE.shape, generator=torch.Generator().manual_seed(1))
    done = quantize(model, IMAGE, QuantizeConfig(), pixels, torch.Generator().manual_seed(0))
    done.export(tmp_path / "net.onnx")
    session = runtime.InferenceSession(tmp_path / "net.onnx", providers=["CPUExecutionProvider"])
    images = IMAGE.normalize(pixels)[:3]
    found = torch.from_numpy(session.run(None, {"images": images.numpy()})[0])
    with torch.no_grad():
        expected = model(images)
    assert found.shape == expected.shape
    assert (found - expected).square().mean() < 0.03 * expected.var()
    rows = [row.name for row in done.describe() if row.role == "activation"]
    assert rows
    assert not [name for name in rows if name.endswith((".weights", ".score"))]


def test_costs_by_hand():
    layer = nn.Sequential(
        nn.Conv2d(3, 4, 3, padding=1, stride=2), nn.Upsample(scale_factor=2, mode="bilinear")
    )
    costs = count_costs(layer, (3, 8, 10))
    assert costs.parameters == 4 * 27 + 4
    assert costs.macs == {"convolution": 4 * 4 * 5 * 27, "resize": 4 * 8 * 10 * 4}


def test_attention_is_counted():
    plain = count_costs(build(attention="none", fusion="concat", decoder="plain"), IMAGE.shape)
    full = count_costs(build(), IMAGE.shape)
    positions, channels = 6 * 8, 24
    assert "product" not in plain.macs
    assert full.macs["product"] == positions * channels
    assert full.macs["sort"] == positions * 6
    assert full.total_macs == sum(full.macs.values())


def test_latency_is_measured_and_the_mode_kept():
    model = LRASPP(LRASPPConfig(**SMALL), IMAGE).train()
    assert latency_ms(model, IMAGE.shape, repeats=2) > 0
    count_costs(model, IMAGE.shape)
    assert model.training
