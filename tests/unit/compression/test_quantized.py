import math
import subprocess
import sys

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from fedzda.base import ImageSpec, UserError
from fedzda.compression import Images, QuantizeConfig, quantize
from fedzda.compression.config import (
    ActivationConfig,
    DistillationConfig,
    RoundingConfig,
    WeightConfig,
)


def config(bits=8, **options):
    weights = {"bits": bits} | options.pop("weights", {})
    activations = {"bits": bits} | options.pop("activations", {})
    return QuantizeConfig(
        weights=WeightConfig(**weights), activations=ActivationConfig(**activations), **options
    )


def test_jacob_quantizes_everything_between_layers(model, image, pixels, rng):
    rows = quantize(model, image, config(4), pixels, rng).describe()
    assert [(row.name, row.role, row.bits) for row in rows] == [
        ("x", "input", 8),
        ("stem", "weight", 4),
        ("relu", "activation", 4),
        ("wide.0", "weight", 4),
        ("wide.2", "activation", 4),
        ("deep.0", "weight", 4),
        ("deep.0", "activation", 8),  # a term of the sum only
        ("add", "activation", 4),
        ("relu_1", "activation", 4),
        ("mean", "activation", 4),
        ("classifier", "weight", 4),
    ]
    assert rows[1].grid == "symmetric, per channel, min-max"
    assert rows[2].shape == (4, 8, 8)


def test_zeroq_compat_quantizes_relus_only(model, image, pixels, rng):
    done = quantize(model, image, config(4, kind="zeroq-compat"), pixels, rng)
    names = [row.name for row in done.describe() if row.role != "weight"]
    assert names == ["relu", "wide.2", "relu_1"]
    assert sum(isinstance(m, nn.BatchNorm2d) for m in done.model.modules()) == 4


def test_bits_of_the_ends(model, image, pixels, rng):
    options = {"first_last_bits": 8, "input_bits": None, "sum_bits": None}
    rows = quantize(model, image, config(3, **options), pixels, rng).describe()
    bits = [(row.name, row.bits) for row in rows]
    assert {("stem", 8), ("classifier", 8), ("mean", 8)} <= set(bits)
    assert [b for name, b in bits if name not in ("stem", "classifier", "mean")] == [3] * 8


def test_eight_bits_are_close_and_fewer_are_worse(model, image, pixels, rng):
    before = {name: value.clone() for name, value in model.state_dict().items()}
    logits = model(image.normalize(pixels)).detach()
    decibels = []
    for bits in (8, 6, 4, 2):
        done = quantize(model, image, config(bits), pixels, rng)
        report = done.report(pixels)
        power, noise = logits.square().sum(), (done(pixels) - logits).square().sum()
        assert report.logits_sqnr_db == pytest.approx(10 * math.log10(power / noise), abs=0.1)
        decibels.append(report.logits_sqnr_db)
        assert [row.name for row in report.layers] == ["stem", "wide.0", "deep.0", "classifier"]
    assert decibels[0] > 30
    assert decibels == sorted(decibels, reverse=True)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


def test_sizes_by_hand(model, image, pixels, rng):
    size = quantize(model, image, config(4), pixels, rng).report(pixels).size
    weights, channels = 4 * 2 * 9 + 8 * 4 * 9 + 8 * 9 + 3 * 8, 4 + 8 + 8 + 3
    assert size.float32 == 4 * (weights + 8 + 8 + 3 + 4 * (4 + 8 + 8 + 8))
    left_norm = 4 * 2 * 8  # factor and shift of the BatchNorm after the sum
    assert size.stored == weights + 4 * 2 * channels + left_norm
    assert size.packed == size.stored - weights // 2


@pytest.mark.parametrize("symmetric", [True, False])
def test_learned_rounding_beats_rounding_to_nearest(model, image, pixels, rng, symmetric):
    rounding = RoundingConfig(steps=300, lr=2e-2)
    options = {"stage": "adaround", "rounding": rounding, "weights": {"symmetric": symmetric}}
    learned = quantize(model, image, config(3, **options), pixels, rng)
    assert [row.name for row in learned.rounded] == ["stem", "wide.0", "deep.0", "classifier"]
    nearest = sum(row.error_nearest for row in learned.rounded)
    assert sum(row.error_learned for row in learned.rounded) < nearest
    for name in ("stem", "classifier"):
        layer, float_layer = (m.get_submodule(name) for m in (learned.model, learned.reference))
        weight, grid = layer.layer.weight, layer.grid()
        torch.testing.assert_close(layer.quantizer(weight), weight)
        step = grid.as_channels(len(weight)).scale.view(-1, *[1] * (weight.dim() - 1))
        assert bool(((weight - float_layer.weight).abs() <= step * 1.001).all())


def labelled(count, rng):
    return Images(torch.rand(count, 2, 8, 8, generator=rng), torch.arange(count) % 3)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"fold_bn": False},
        {"kind": "zeroq-compat"},
        {"weights": {"range": "lsq"}, "activations": {"range": "lsq"}},
        {"distillation": {"temperature": 4.0, "live_range_steps": 20, "schedule": "constant"}},
    ],
    ids=["jacob", "unfolded", "zeroq-compat", "lsq", "live ranges"],
)
def test_distillation_moves_towards_the_teacher(model, image, pixels, rng, options):
    training = {"steps": 60, "lr": 3e-3, "ce_weight": 0.0} | options.pop("distillation", {})
    options["distillation"] = DistillationConfig(**training)
    done = quantize(model, image, config(3, stage="qat", **options), pixels, rng)
    assert len(done.losses) == 60
    assert sum(done.losses[-10:]) < 0.8 * sum(done.losses[:10])
    statistics = [(n, b) for n, b in done.reference.named_buffers() if "running" in n]
    for name, buffer in statistics:
        assert torch.equal(done.model.get_buffer(name), buffer)


def test_learned_steps_are_trained(model, image, pixels, rng):
    options = {"weights": {"range": "lsq"}, "activations": {"range": "lsq"}, "stage": "qat"}
    steps = []
    for count in (1, 20):
        distillation = DistillationConfig(steps=count, lr=1e-2)
        done = quantize(model, image, config(3, distillation=distillation, **options), pixels, rng)
        steps.append(done.model.get_parameter("stem.quantizer.step").clone())
    assert not torch.allclose(*steps)
    assert bool((steps[1] > 0).all())


def test_same_seed_same_model(model, image):
    options = {"stage": "qat", "distillation": DistillationConfig(steps=5)}
    runs = [
        quantize(model, image, config(4, **options), labelled, torch.Generator().manual_seed(7))
        for _ in range(2)
    ]
    states = [run.model.state_dict() for run in runs]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_cross_entropy_needs_labels_of_several_classes(model, image, pixels, rng):
    distillation = DistillationConfig(steps=1, ce_weight=1.0)
    with pytest.raises(UserError, match=r"ce_weight is 1\.0, but the images have no labels"):
        quantize(model, image, config(stage="qat", distillation=distillation), pixels, rng)
    single = Images(pixels, torch.ones(len(pixels), dtype=torch.int64))
    with pytest.raises(UserError, match="at least two classes"):
        quantize(model, image, config(stage="qat"), single, rng)


@pytest.mark.parametrize(
    ("images", "sentence"),
    [
        (torch.rand(4, 2, 9, 9), r"must have shape \(N, 2, 8, 8\)"),
        (torch.rand(0, 2, 8, 8), "at least one image"),
        (torch.rand(4, 2, 8, 8) * 255, r"float pixels in \[0, 1\]"),
        (Images(torch.rand(4, 2, 8, 8), torch.tensor([0, 1, 2, 3])), "from 0 to 2 per image"),
    ],
)
def test_images_that_do_not_fit(model, image, rng, images, sentence):
    with pytest.raises(UserError, match=sentence):
        quantize(model, image, config(), images, rng)


def test_reading_a_configuration_does_not_import_torch():
    code = "import sys, fedzda.compression.config; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_model_without_layers_is_refused(rng):
    image = ImageSpec((1, 1, 2), 2, (0.0,), (1.0,))
    with pytest.raises(UserError, match="no convolution and no linear layer"):
        quantize(nn.Flatten().eval(), image, config(), torch.rand(4, 1, 1, 2), rng)


@pytest.mark.parametrize(
    "options",
    [
        {"weights": {"bits": 1}},
        {"activations": {"bits": 9}},
        {"stage": "ptq", "weights": {"range": "lsq"}},
        {"stage": "qat", "weights": {"range": "lsq", "symmetric": False}},
        {"kind": "zeroq-compat", "stage": "adaround"},
        {"kind": "zeroq-compat", "weights": {"per_channel": False}},
        {"kind": "zeroq-compat", "activations": {"symmetric": True}},
    ],
)
def test_configurations_that_are_refused(options):
    with pytest.raises(ValidationError):
        QuantizeConfig.model_validate(options)


class Learned(nn.Module):
    """A learned factor outside of layers, and a layer that serves twice."""

    def __init__(self):
        super().__init__()
        self.stem, self.deep = nn.Conv2d(2, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1)
        self.factor = nn.Parameter(torch.zeros(1))
        self.classifier = nn.Linear(4, 3)

    def forward(self, x):
        x = torch.relu(self.stem(x))
        x = torch.relu(x + self.factor.exp() * self.deep(x))
        return self.classifier(torch.relu(self.deep(x)).mean(dim=(2, 3)))


def test_learned_factors_stay_float_and_a_layer_may_serve_twice(image, pixels, rng):
    torch.manual_seed(0)
    done = quantize(Learned().eval(), image, config(), pixels, rng)
    assert [row.name for row in done.describe() if row.role == "weight"] == [
        "stem",
        "deep",
        "deep",
        "classifier",
    ]
    report = done.report(pixels)
    assert report.logits_sqnr_db > 30
    assert [row.name for row in report.layers] == ["stem", "deep", "classifier"]
    assert all(row.output_sqnr_db > 30 for row in report.layers)


class Standardised(nn.Conv2d):
    def forward(self, x):
        mean, std = (f(self.weight, (1, 2, 3), keepdim=True) for f in (torch.mean, torch.std))
        return self._conv_forward(x, (self.weight - mean) / std, self.bias)


def test_layers_with_a_forward_of_their_own_are_refused(image, pixels, rng):
    model = nn.Sequential(Standardised(2, 4, 8), nn.ReLU(), nn.Flatten(), nn.Linear(4, 3)).eval()
    with pytest.raises(UserError, match=r"compute something else .* '0' \(Standardised\)"):
        quantize(model, image, config(), pixels, rng)


def test_weights_that_are_computed_can_be_rounded(image, pixels, rng):
    layer = nn.utils.parametrizations.weight_norm(nn.Conv2d(2, 4, 8))
    model = nn.Sequential(layer, nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(4, 3)).eval()
    options = {"stage": "adaround", "rounding": RoundingConfig(steps=5)}
    done = quantize(model, image, config(3, **options), pixels, rng)
    (first, *_) = (m for m in done.model.modules() if hasattr(m, "quantizer"))
    grid, weight = first.grid(), first.layer.weight
    torch.testing.assert_close(grid.values(grid.levels(weight)), weight)


def test_a_rare_class_need_not_be_in_the_first_batch(model, image, pixels, rng):
    labels = torch.zeros(len(pixels), dtype=torch.int64)
    labels[0] = 1
    options = {"stage": "qat", "distillation": DistillationConfig(steps=1, batch_size=2)}
    assert len(quantize(model, image, config(**options), Images(pixels, labels), rng).losses) == 1


def test_learned_rounding_of_a_weight_that_two_layers_share(image, pixels, rng):
    """Rounding the first must not put the second on its grid."""

    def errors(shared):
        torch.manual_seed(0)
        layers = [nn.Conv2d(2, 2, 3, padding=1) for _ in range(2)]
        layers[1].load_state_dict(layers[0].state_dict())
        if shared:
            layers[1].weight = layers[0].weight
        model = nn.Sequential(*layers, nn.Flatten(), nn.Linear(128, 3)).eval()
        options = {"stage": "adaround", "rounding": RoundingConfig(steps=40)}
        found = quantize(model, image, config(3, **options), pixels, rng.manual_seed(0))
        return [(row.error_nearest, row.error_learned) for row in found.rounded]

    assert errors(shared=True) == errors(shared=False)


def test_learned_rounding_of_a_layer_that_serves_maps_of_two_sizes(image, pixels, rng):
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.last = nn.Conv2d(2, 2, 3, padding=1), nn.Linear(2, 3)

        def forward(self, x):
            fine = self.conv(x)
            coarse = self.conv(nn.functional.avg_pool2d(fine, 2))
            return self.last(coarse.mean(dim=(2, 3)) + fine.mean(dim=(2, 3)))

    options = {"stage": "adaround", "rounding": RoundingConfig(steps=200)}
    torch.manual_seed(0)
    done = quantize(Twice().eval(), image, config(3, **options), pixels, rng)
    first = done.rounded[0]
    assert first.error_learned < first.error_nearest
