import importlib.util

import pytest
import torch
from torch import nn

from fedzda.base import ImageSpec, UserError
from fedzda.compression import QuantizeConfig, export_float, quantize
from fedzda.compression.config import ActivationConfig, RoundingConfig, WeightConfig

pytestmark = pytest.mark.skipif(
    not all(importlib.util.find_spec(name) for name in ("onnx", "onnxruntime")),
    reason="needs the extra 'export'",
)


def run(path, x):
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return torch.from_numpy(session.run(None, {"images": x.numpy()})[0])


def operations(path, folder):
    """The operations that the runtime really runs."""
    import onnx
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(folder / "optimised.onnx")
    options.log_severity_level = 3
    onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return [node.op_type for node in onnx.load(folder / "optimised.onnx").graph.node]


def config(bits, stage="ptq", weights=None, activations=None, **options):
    return QuantizeConfig(
        stage=stage,
        weights=WeightConfig(bits=bits, **weights or {}),
        activations=ActivationConfig(bits=bits, **activations or {}),
        rounding=RoundingConfig(steps=20),
        **options,
    )


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"fold_bn": False},
        {"stage": "adaround"},
        {"weights": {"per_channel": False}},
        {"weights": {"symmetric": False, "per_channel": False}},
        {"activations": {"symmetric": True}},
    ],
    ids=["default", "unfolded", "adaround", "per tensor", "asymmetric", "signed activations"],
)
@pytest.mark.parametrize("bits", [8, 4])
def test_the_runtime_computes_the_simulated_model(
    model, image, pixels, rng, tmp_path, bits, options
):
    done = quantize(model, image, config(bits, **options), pixels, rng)
    path = tmp_path / "model.onnx"
    assert done.export(path) == path.stat().st_size
    simulated, found = done(pixels), run(path, image.normalize(pixels))
    # a value on the edge between two levels may fall to either side: most images have none
    error = (simulated - found).abs().max(dim=1).values
    assert error.median() <= 1e-3 * simulated.abs().max()
    assert (simulated.argmax(1) == found.argmax(1)).float().mean() >= 0.98


def test_the_runtime_uses_integer_kernels(model, image, pixels, rng, tmp_path):
    for bits in (8, 4):
        path = tmp_path / "model.onnx"
        quantize(model, image, config(bits), pixels, rng).export(path)
        found = operations(path, tmp_path)
        assert found.count("QLinearConv") == 3
        assert {"QLinearAdd", "QLinearGlobalAveragePool", "QGemm"} <= set(found)
        assert "Conv" not in found


def test_float_export_computes_the_float_model(model, image, pixels, tmp_path):
    path = tmp_path / "float.onnx"
    export_float(model, image, path)
    x = image.normalize(pixels)
    torch.testing.assert_close(run(path, x), model(x).detach(), atol=1e-5, rtol=1e-4)


class Many(nn.Module):
    """One of each remaining operation."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 4, 3, padding="same", dilation=2)
        self.norm = nn.GroupNorm(2, 4)
        self.acts = nn.ModuleList(
            [nn.LeakyReLU(0.1), nn.Sigmoid(), nn.Tanh(), nn.SiLU(), nn.Hardswish()]
        )
        self.head = nn.Linear(24 * 4, 3)

    def forward(self, x):
        x = self.norm(self.conv(x))
        x = torch.cat([act(x) for act in self.acts] + [nn.functional.hardsigmoid(x) * x], 1)
        x = nn.functional.avg_pool2d(x, 2)
        x = nn.functional.adaptive_avg_pool2d(x, 2)
        return self.head(x.view(x.size(0), -1))


def test_other_operations(image, pixels, rng, tmp_path):
    torch.manual_seed(0)
    model = Many().eval()
    x = image.normalize(pixels)
    export_float(model, image, tmp_path / "float.onnx")
    torch.testing.assert_close(
        run(tmp_path / "float.onnx", x), model(x).detach(), atol=1e-5, rtol=1e-4
    )
    done = quantize(model, image, config(8), pixels, rng)
    done.export(tmp_path / "int8.onnx")
    error = (run(tmp_path / "int8.onnx", x) - done(pixels)).abs().max()
    assert error < 0.03 * done(pixels).abs().max()


def test_dead_channels_do_not_overflow(rng, tmp_path):
    image = ImageSpec((1, 4, 4), 2, (0.0,), (1.0,))
    model = nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(12, 2)).eval()
    with torch.no_grad():
        model[0].weight[1] = 0
        model[0].weight[2] *= 1e-9
        model[0].bias[:] = torch.tensor([0.1, 0.7, 0.5])
    pixels = torch.rand(32, 1, 4, 4)
    done = quantize(model, image, config(8), pixels, rng)
    done.export(tmp_path / "model.onnx")
    torch.testing.assert_close(
        run(tmp_path / "model.onnx", pixels), done(pixels), atol=0.02, rtol=0
    )


class Sorts(nn.Module):
    def __init__(self):
        super().__init__()
        self.head = nn.Linear(128, 3)

    def forward(self, x):
        return self.head(torch.cumsum(x.flatten(1), 1))


def test_an_operation_that_cannot_be_exported_is_named(image, pixels, rng, tmp_path):
    done = quantize(Sorts().eval(), image, config(8), pixels, rng)
    with pytest.raises(UserError, match=r"function cumsum at 'cumsum' cannot be exported"):
        done.export(tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


def test_quantizers_without_integer_form_are_refused(model, image, pixels, rng, tmp_path):
    for options, sentence in [
        ({"kind": "zeroq-compat"}, "zeroq-compat has no integer form"),
        ({"activations": {"per_channel": True}}, "per_channel is true"),
    ]:
        done = quantize(model, image, config(8, **options), pixels, rng)
        with pytest.raises(UserError, match=sentence):
            done.export(tmp_path / "model.onnx")
