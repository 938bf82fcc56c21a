"""Narrow models: which channels, which entries, and that they compute what they should."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from fedzda.base import ImageSpec, Turn, UserError
from fedzda.clients.models.cnn import CNN
from fedzda.clients.models.lenet_bn import LeNetBN
from fedzda.clients.models.mlp import MLP
from fedzda.clients.models.mobilenet_v2 import MobileNetV2
from fedzda.clients.models.resnet import ResNet8, ResNet32
from fedzda.clients.models.wrn import WRN161
from fedzda.clients.variants.assigned import ClientVariants
from fedzda.clients.variants.config import WidthConfig
from fedzda.clients.variants.width import Width, static_statistics
from fedzda.platform.config.load import from_dict
from fedzda.vision.gsanet.config import DeepLabV3PlusConfig, LRASPPConfig, MobileNetEdgeConfig
from fedzda.vision.gsanet.lr_aspp import LRASPP
from fedzda.vision.gsanet.model import DeepLabV3Plus
from fedzda.vision.restoration.config import DnCNNConfig
from fedzda.vision.restoration.networks.dncnn import DnCNN

DIGIT = ImageSpec((1, 8, 8), 10, (0.3,), (0.3,))
SMALL = ImageSpec((3, 16, 16), 10, (0.5,) * 3, (0.2,) * 3)
MODELS = {
    "lenet-bn": (lambda: LeNetBN(1, 10, (8, 8)), DIGIT),
    "lenet-group": (lambda: LeNetBN(1, 10, (8, 8), "group"), DIGIT),
    "cnn": (lambda: CNN(1, 10, (8, 8)), DIGIT),
    "mlp": (lambda: MLP(1, 10, (8, 8), (20, 30), "batch"), DIGIT),
    "resnet-8": (lambda: ResNet8(3, 10), SMALL),
    "resnet-32": (lambda: ResNet32(3, 10), SMALL),
    "wrn-16-1": (lambda: WRN161(3, 10), SMALL),
    "mobilenet-v2": (lambda: MobileNetV2(3, 10), SMALL),
}


def segmenter(kind, config, **settings):
    features = MobileNetEdgeConfig(width=0.25, stages=2)
    block = config(features=features, output_stride=8, channels=16, **settings)
    return lambda: kind.build(block, PHOTO)


PHOTO = ImageSpec((3, 16, 16), 4, (0.5,) * 3, (0.2,) * 3)
DEEPLAB = {"rates": [1, 2], "low_channels": 8, "decoder_channels": 16}
DENSE = {
    "lr-aspp": (segmenter(LRASPP, LRASPPConfig), PHOTO),
    "lr-aspp-group": (segmenter(LRASPP, LRASPPConfig, norm="group"), PHOTO),
    "deeplab-v3-plus": (segmenter(DeepLabV3Plus, DeepLabV3PlusConfig, **DEEPLAB), PHOTO),
    "dncnn": (lambda: DnCNN(DnCNNConfig(depth=4, channels=8), 3), PHOTO),
}
"""Gates, maps resized, concatenated, and taken from the image; logits of pixels, or images."""


def made(name, method="heterofl", ratio=0.5, **settings):
    torch.manual_seed(0)
    make, image = (MODELS | DENSE)[name]
    model = make()
    with torch.no_grad():
        for buffer in model.buffers():  # statistics that are no ones and zeros
            if buffer.is_floating_point():
                buffer.copy_(torch.rand_like(buffer) + 0.5)
    config = WidthConfig(method=method, ratio=ratio, **settings)
    return model, Width(config, model, image), image


def turn(round_=1, client=0, training=True):
    return Turn(0, client, round_, training)


def masked(model, form, image, when):
    """The full model with zeros in the place of all entries that the narrow one lacks."""
    device_model = form.build(model, when)
    _, coverage = form.to_global(device_model, when)
    own = copy.deepcopy(model)
    with torch.no_grad():
        for name, value in own.state_dict().items():
            if name in coverage:
                value.mul_(torch.from_numpy(coverage[name]).to(value.dtype))
    return device_model.eval(), own.eval()


@pytest.mark.parametrize("method", ["heterofl", "fedrolex"])
@pytest.mark.parametrize("name", MODELS)
def test_a_narrow_model_is_the_full_one_with_zeros(name, method):
    """Without the scaler; group norms are left out, whose groups may have other members."""
    model, form, image = made(name, method, scale=False)
    when = turn(round_=4)
    narrow, zeros = masked(model, form, image, when)
    x = torch.randn(3, *image.shape)
    assert narrow(x).shape == (3, image.num_classes)
    if "group" not in name:
        torch.testing.assert_close(narrow(x), zeros(x), rtol=1e-4, atol=1e-5)
    assert form.cost().parameters < 0.55 * sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize("method", ["heterofl", "fedrolex"])
@pytest.mark.parametrize("name", DENSE)
def test_so_is_one_that_answers_for_every_pixel(name, method):
    model, form, image = made(name, method, scale=False)
    when = turn(round_=4)
    narrow, zeros = masked(model, form, image, when)
    x = torch.randn(3, *image.shape)
    assert narrow(x).shape == model.eval()(x).shape
    if "group" not in name:
        torch.testing.assert_close(narrow(x), zeros(x), rtol=1e-4, atol=1e-5)
    _, coverage = form.to_global(narrow, when)
    ends = {"dncnn": "noise.8", "deeplab-v3-plus": "decoder.classifier"}
    last = ends.get(name, "high_classifier")
    assert coverage[f"{last}.weight"].any(axis=1).all()
    assert f"{last}.bias" not in coverage
    assert form.cost().parameters < 0.62 * sum(p.numel() for p in model.parameters())


def test_a_concatenation_keeps_the_channels_of_its_parts():
    """By hand: two maps of 4 channels side by side, half of each."""

    class Beside(nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.two = nn.Conv2d(1, 4, 1), nn.Conv2d(1, 4, 1)
            self.joined = nn.Conv2d(8, 10, 1)

        def forward(self, x):
            return self.joined(torch.cat([self.one(x), self.two(x)], dim=1))

    form = Width(WidthConfig(ratio=0.5, method="fedrolex"), Beside(), DIGIT)
    _, coverage = form.to_global(form.build(form.template, turn(2)), turn(2))
    held = coverage["joined.weight"][0, :, 0, 0]
    assert np.flatnonzero(held).tolist() == [1, 2, 5, 6]


@pytest.mark.parametrize("name", MODELS)
def test_there_and_back_is_the_same(name):
    model, form, _ = made(name, "fedrolex")
    before = {k: v.clone() for k, v in model.state_dict().items()}
    arrays, coverage = form.to_global(form.build(model, turn(3)), turn(3))
    assert arrays.keys() == before.keys()
    for key, value in arrays.items():
        held = coverage.get(key, np.ones(value.shape, bool))
        np.testing.assert_array_equal(value[held], before[key].numpy()[held])
        assert held.any()
    assert "classifier.weight" in coverage
    assert "classifier.bias" not in coverage
    assert all(torch.equal(v, model.state_dict()[k]) for k, v in before.items())


def test_ratio_one_is_the_full_model():
    model, form, image = made("lenet-bn", ratio=1.0)
    x = torch.randn(2, *image.shape)
    narrow = form.build(model, turn()).eval()
    assert torch.equal(narrow(x), model.eval()(x))
    assert form.to_global(narrow, turn())[1] == {}
    assert WidthConfig(ratio=1.0).whole
    assert not WidthConfig(ratio=1.0, method="fjord").whole


def test_windows_roll_by_a_channel_per_round():
    """The forward window of the method sheet: C = 4, half: {0,1}, {1,2}, {2,3}, then {0,3}."""
    torch.manual_seed(0)
    model = MLP(1, 10, (8, 8), (4,))
    form = Width(WidthConfig(method="fedrolex", ratio=0.5), model, DIGIT)
    found = [form.kept(turn(round_)) for round_ in (1, 2, 3, 4)]
    windows = [[own.tolist() for own in kept.values() if len(own) == 2] for kept in found]
    assert windows == [[[0, 1]], [[1, 2]], [[2, 3]], [[0, 3]]]
    over = set()
    for round_ in (1, 2, 3, 4):
        _, coverage = form.to_global(form.build(model, turn(round_)), turn(round_))
        over |= set(np.flatnonzero(coverage["features.1.bias"]))
    assert over == {0, 1, 2, 3}


def test_fjord_draws_a_width_per_client_and_round_and_tests_its_own():
    model, form, _ = made("lenet-bn", "fjord", ratio=0.6)

    def width(when):
        return form.build(model, when).get_submodule("classifier").in_features

    drawn = {width(turn(round_, client)) for round_ in range(1, 8) for client in range(5)}
    assert drawn == {13, 26, 39}  # 0.2, 0.4 and 0.6 of 64, rounded up
    assert width(turn(2, 3)) == width(turn(2, 3))
    assert {width(turn(r, c, False)) for r in (1, 2) for c in (0, 1)} == {39}


def test_the_scaler_keeps_sums_as_large_as_in_the_full_model():
    model, form, _ = made("cnn", ratio=0.25)
    layer = form.build(model, turn()).get_submodule("features.4")
    assert layer.factor == 4.0
    x = torch.randn(2, 8, 4, 4)
    plain = nn.functional.conv2d(x * 4.0, layer.weight, layer.bias, padding=2)
    torch.testing.assert_close(layer(x), plain)
    assert form.build(model, turn()).get_submodule("features.0").factor == 1.0


def test_static_batchnorm_by_hand():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 4, 1), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(256, 10))
    form = Width(WidthConfig(ratio=0.5), model, DIGIT)
    assert form.personal
    images = torch.randn(20, 1, 8, 8)
    deployed = form.deploy(form.build(model, turn()), images, turn())
    values = deployed[0](images)
    torch.testing.assert_close(deployed[1].running_mean, values.mean((0, 2, 3)))
    torch.testing.assert_close(deployed[1].running_var, values.var((0, 2, 3)))
    assert deployed[1].momentum == model[1].momentum
    assert not deployed.training
    assert not Width(WidthConfig(ratio=0.5, batchnorm="shared"), model, DIGIT).personal


def test_groups_keep_their_size():
    model, form, _ = made("lenet-group", ratio=0.5)
    narrow = form.build(model, turn())
    full = [m for m in model.modules() if isinstance(m, nn.GroupNorm)]
    found = [m for m in narrow.modules() if isinstance(m, nn.GroupNorm)]
    for one, other in zip(full, found, strict=True):
        assert one.num_channels // one.num_groups == other.num_channels // other.num_groups


class Shuffled(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(1, 4, 3)
        self.mixing = nn.PixelShuffle(2)
        self.last = nn.Linear(144, 10)

    def forward(self, x):
        return self.last(self.mixing(self.first(x)).flatten(1))


class Grouped(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(1, 4, 3)
        self.second = nn.Conv2d(4, 4, 3, groups=2)
        self.last = nn.Linear(64, 10)

    def forward(self, x):
        return self.last(self.second(self.first(x)).flatten(1))


class Branching(nn.Module):
    def __init__(self):
        super().__init__()
        self.last = nn.Linear(64, 10)

    def forward(self, x):
        return self.last(x.flatten(1) if x.sum() > 0 else -x.flatten(1))


class Numbered(nn.Module):
    """Counts its channels in forward."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(1, 4, 1)
        self.last = nn.Linear(256, 10)

    def forward(self, x):
        return self.last(self.first(x).view(-1, 256))


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (Shuffled, "module 'mixing' .PixelShuffle."),
        (Grouped, "module 'second' .Conv2d."),
        (Branching, "its steps cannot be followed"),
        (Numbered, "step 'view' at 'view'"),
    ],
)
def test_models_that_cannot_be_cut_say_where(model, words):
    with pytest.raises(UserError, match=f"cannot be made narrower: .*{words}"):
        Width(WidthConfig(), model(), DIGIT)


def test_a_norm_that_would_be_left_with_one_number_is_refused():
    model = LeNetBN(1, 10, (8, 8), width=2, norm="group")
    with pytest.raises(UserError, match=r"cannot be made narrower: with 0\.125 of its channels"):
        Width(WidthConfig(ratio=0.125), model, DIGIT)


@pytest.mark.parametrize("count", [1, 2, 257])
def test_static_statistics_of_few_images(count):
    """A last batch of one image would have no variance behind the last pooling."""
    model = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.BatchNorm1d(3))
    images = torch.randn(count, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    static_statistics(model, images)
    expected = images.mean((2, 3)).mean(0) if count > 1 else torch.zeros(3)
    torch.testing.assert_close(model[2].running_mean, expected, rtol=0, atol=1e-2)
    assert (model[2].running_var > 0).all()


def test_frozen_layers_stay_frozen():
    model, _, image = made("lenet-bn")
    model.features.requires_grad_(False)
    narrow = Width(WidthConfig(ratio=0.5), model, image).build(model, turn())
    for name, weight in narrow.named_parameters():
        assert weight.requires_grad == model.get_parameter(name).requires_grad, name


def test_static_statistics_are_those_without_dropout():
    model = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.BatchNorm1d(64))
    images = torch.rand(40, 1, 8, 8)
    static_statistics(model, images)
    torch.testing.assert_close(model[2].running_var, images.flatten(1).var(0))


@pytest.mark.parametrize(("clients", "some_whole"), [(20, True), (4, False)])
def test_a_class_without_clients_trains_no_full_width(clients, some_whole):
    """Statistics of narrow models stay on the devices only where others send theirs."""
    narrow = {"profile": "phone-low", "share": 0.95, "variant": "width"}
    raw = {
        "name": "few",
        "rounds": 1,
        "data": {"name": "digits", "clients": clients},
        "model": {"name": "lenet-bn"},
        "strategy": {"name": "fed-avg"},
        "devices": [{"profile": "phone-high", "share": 0.05}, narrow],
    }
    made = ClientVariants(from_dict(raw), clients, LeNetBN(1, 10, (8, 8)), DIGIT)
    assert made.some_whole == some_whole
