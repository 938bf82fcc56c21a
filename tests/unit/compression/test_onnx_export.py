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


class Segments(nn.Module):
    """A class for every pixel: a gate, a pooled map shown everywhere, a concatenation, resizing."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(2, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU())
        self.gate = nn.Conv2d(8, 8, 1)
        self.global_ = nn.Conv2d(8, 4, 1)
        self.classifier = nn.Conv2d(12, 3, 1)

    def forward(self, x):
        low = self.stem(x)
        gated = low * torch.sigmoid(self.gate(low.mean(dim=(2, 3), keepdim=True)))
        everywhere = self.global_(low.mean(dim=(2, 3), keepdim=True))
        everywhere = everywhere.expand(-1, -1, low.shape[2], low.shape[3])
        logits = self.classifier(torch.cat([gated, everywhere], dim=1))
        size = (x.shape[2], x.shape[3])
        return nn.functional.interpolate(logits, size=size, mode="bilinear", align_corners=False)


class Largest(nn.Module):
    """A weight for every position, found by a branch and a sort: no graph of integers."""

    keep_float = True

    def __init__(self):
        super().__init__()
        self.factor = nn.Parameter(torch.full((1,), 0.5))

    def forward(self, scores):
        if scores.shape[-1] > 1000:
            return scores
        half = scores.sort(dim=-1, descending=True).values[..., scores.shape[-1] // 2, None]
        return (self.factor * scores - self.factor * half).clamp(min=0)


class Attends(nn.Module):
    """Positions weighed by a module that stays float, and two maps by a softmax."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(2, 8, 3, 2, 1), nn.ReLU())
        self.score, self.weigh = nn.Conv2d(8, 1, 1), Largest()
        self.gate, self.keep = nn.Conv2d(8, 8, 1), Largest()
        self.scales = nn.Conv2d(8, 16, 1)
        self.classifier = nn.Conv2d(8, 3, 1)

    def forward(self, x):
        low = self.stem(x)
        n, c, h, w = low.shape
        weights = self.weigh(self.score(low).flatten(2)).unsqueeze(-1)
        everywhere = (low.reshape(n, 1, c, h * w) @ weights).reshape(n, c, 1, 1)
        shares = self.scales(low).reshape(n, 2, c, h, w).softmax(dim=1).flatten(1, 2)
        joined = shares[:, :c] * low + shares[:, c:] * everywhere.expand(-1, -1, h, w)
        joined = joined * self.keep(self.gate(low))
        logits = self.classifier(joined)
        size = (x.shape[2], x.shape[3])
        return nn.functional.interpolate(logits, size=size, mode="bilinear", align_corners=False)


class Denoises(nn.Module):
    """The noise is learned and taken from the image."""

    def __init__(self):
        super().__init__()
        self.noise = nn.Sequential(
            nn.Conv2d(2, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 2, 3, padding=1)
        )

    def forward(self, x):
        return x[:, :2] - self.noise(x)


class Enlarges(nn.Module):
    """Pixels shuffled between two convolutions; one channel fewer than comes in."""

    def __init__(self):
        super().__init__()
        self.change = nn.Sequential(
            nn.Conv2d(2, 16, 3, padding=1), nn.ReLU(), nn.PixelShuffle(2), nn.Conv2d(4, 1, 3)
        )

    def forward(self, x):
        return nn.functional.pad(self.change(x), (1, 1, 1, 1))


@pytest.mark.parametrize("kind", [Segments, Attends, Denoises, Enlarges])
def test_networks_that_answer_for_every_pixel(kind, image, pixels, rng, tmp_path):
    torch.manual_seed(0)
    network = kind().train()
    with torch.no_grad():
        network(image.normalize(pixels))  # statistics of BatchNorm
    network.eval()
    done = quantize(network, image, config(8), pixels, rng)
    done.export(tmp_path / "model.onnx")
    x = image.normalize(pixels)
    simulated, found = done(pixels), run(tmp_path / "model.onnx", x)
    assert found.shape == network(x).shape
    step = simulated.abs().max() / 128
    assert (simulated - found).abs().median() <= 1e-3 * simulated.abs().max()
    assert (simulated - found).abs().max() <= 4 * step
    assert (network(x) - found).abs().mean() <= step
    assert "QLinearConv" in operations(tmp_path / "model.onnx", tmp_path)
    done.export_float(tmp_path / "float.onnx")
    torch.testing.assert_close(run(tmp_path / "float.onnx", x), network(x), rtol=1e-3, atol=1e-4)


def test_what_stays_float_has_no_quantizer_at_its_ends(image, pixels, rng):
    done = quantize(Attends().eval(), image, config(8), pixels, rng)
    names = [row.name for row in done.describe() if row.role == "activation"]
    assert not {"score", "weigh", "gate", "keep", "classifier"} & set(names)
    assert {"stem.1", "scales", "softmax", "matmul"} <= set(names)
    report = done.report(pixels)
    assert 0.5 < report.agreement <= 1
    assert report.size.stored >= 4 * len(Attends().weigh.factor)


def test_a_module_that_the_exporter_cannot_write_is_named(image, pixels, rng, tmp_path):
    class Spectrum(nn.Module):
        keep_float = True

        def forward(self, x):
            return torch.special.bessel_j0(x)

    network = Attends().eval()
    network.keep = Spectrum()
    done = quantize(network, image, config(8), pixels, rng)
    with pytest.raises(UserError, match=r"module Spectrum says 'keep_float = True', and .* ONNX"):
        done.export(tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("before", "after"), [((3, 5), (7, 4)), ((4, 4), (12, 8)), ((1, 1), (5, 5))]
)
@pytest.mark.parametrize("mode", ["bilinear", "nearest"])
def test_resizing_is_torchs(mode, before, after, tmp_path):
    class Resizes(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Conv2d(1, 1, 1)

        def forward(self, x):
            small = nn.functional.adaptive_avg_pool2d(self.scale(x), before)
            out = nn.functional.interpolate(small, size=after, mode=mode)
            return nn.functional.interpolate(out, size=(x.shape[2], x.shape[3]), mode=mode)

    spec = ImageSpec((1, before[0] * 2, before[1] * 2), 1, (0.0,), (1.0,))
    network = Resizes().eval()
    export_float(network, spec, tmp_path / "model.onnx")
    x = torch.randn(3, *spec.shape)
    torch.testing.assert_close(run(tmp_path / "model.onnx", x), network(x), rtol=1e-4, atol=1e-5)


def test_answers_of_another_shape_are_refused(image, pixels, rng):
    class Halves(nn.Module):
        def __init__(self):
            super().__init__()
            self.first = nn.Conv2d(2, 3, 3, 2, 1)

        def forward(self, x):
            return self.first(x)

    with pytest.raises(UserError, match="one such row per pixel, or images of at most"):
        quantize(Halves().eval(), image, config(8), pixels, rng)
