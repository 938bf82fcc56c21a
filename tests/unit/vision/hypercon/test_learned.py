"""The small networks: shapes, what a few steps teach, weights in files."""

import numpy as np
import pytest
import torch

from fedzda.base import UserError
from fedzda.vision.hypercon.blind import TransformNet, run_blind, train_blind
from fedzda.vision.hypercon.config import (
    BlindConfig,
    InpaintingConfig,
    SlomoConfig,
    StyleConfig,
    TextureConfig,
)
from fedzda.vision.hypercon.flow import dis
from fedzda.vision.hypercon.image_models.adapters import colour_map, from_network
from fedzda.vision.hypercon.image_models.classic import posterise
from fedzda.vision.hypercon.image_models.features import Features, TextureNet, train_texture
from fedzda.vision.hypercon.image_models.inpainting import (
    InpaintingNet,
    PartialConvolution,
    random_hole,
    train_inpainting,
)
from fedzda.vision.hypercon.image_models.registry import (
    load_network,
    save_network,
    trained,
    weightless,
)
from fedzda.vision.hypercon.image_models.style import (
    gram,
    sliced_wasserstein,
    style_network,
    train_style,
)
from fedzda.vision.hypercon.interpolate import FlowInterpolator
from fedzda.vision.hypercon.pipeline import hypercon
from fedzda.vision.hypercon.slomo import Slomo, slomo_network, train_slomo

TINY = {"crop": 32, "width": 4, "steps": 3}


@pytest.fixture(autouse=True)
def seed():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def pictures(coffee):
    return [coffee[:100, :120], coffee[200:300, 300:420]]


class Losses(list):
    def __call__(self, step, loss):
        self.append(loss)


def test_partial_convolution_sees_known_pixels_only():
    layer = PartialConvolution(1, 1)
    torch.nn.init.ones_(layer.convolution.weight)
    image, known = torch.ones(1, 1, 5, 5), torch.zeros(1, 1, 5, 5)
    known[..., :2] = 1
    image[..., 2:] = 7  # placeholder
    out, mask = layer(image, known)
    assert torch.allclose(out[0, 0, 2], torch.tensor([9.0, 9, 9, 0, 0]))
    assert mask[0, 0, 2].tolist() == [1, 1, 1, 0, 0]


def test_inpainting_ignores_what_holes_show_and_learns(pictures, rng):
    network = InpaintingNet(4)
    image, hole = torch.rand(1, 3, 32, 48), torch.zeros(1, 1, 32, 48)
    hole[..., 10:20, 10:30] = 1
    other = torch.where(hole > 0, torch.rand(1, 3, 32, 48), image)
    assert torch.equal(network(image, hole), network(other, hole))
    losses = Losses()
    config = InpaintingConfig(**{**TINY, "steps": 12, "lr": 1e-2})
    train_inpainting(pictures, config, rng, losses)
    assert np.mean(losses[-3:]) < np.mean(losses[:3])
    assert 0.02 < np.mean([random_hole(64, rng).mean() for _ in range(20)]) < 0.6


def test_style_losses_by_hand():
    maps = torch.tensor([[[[1.0, 2.0]], [[0.0, 1.0]]]])
    assert gram(maps).tolist() == [[2.5, 1.0], [1.0, 0.5]]
    rolled = maps.flip(3)
    assert sliced_wasserstein(maps, rolled, 8) == 0
    assert sliced_wasserstein(maps, maps + 1, 8) > 0.1


def test_style_network_learns_and_takes_any_size(pictures, rng, coffee):
    texture = train_texture(pictures, TextureConfig(steps=10, width=4, batch_size=8), rng)
    losses = Losses()
    config = StyleConfig(**{**TINY, "steps": 15, "lr": 5e-3})
    network = train_style(coffee[50:150, 50:150], pictures, Features(texture), config, rng, losses)
    assert np.mean(losses[-3:]) < losses[0]
    assert network(torch.rand(1, 3, 30, 45)).shape == (1, 3, 30, 45)


def test_features_are_maps_of_the_layers_named():
    network = TextureNet(3, width=4)
    maps = Features(network)(torch.rand(2, 3, 32, 32))
    assert [part.shape[1] for part in maps] == [4, 8, 8, 16]
    maps = Features(network, ["blocks.0"])(torch.rand(2, 3, 32, 32))
    assert len(maps) == 1
    with pytest.raises(UserError, match=r"no layer 'no'. Known convolutions: blocks.0.0"):
        Features(network, ["no"])
    with pytest.raises(UserError, match="no convolutions"):
        Features(torch.nn.Linear(2, 2))
    with pytest.raises(UserError, match="at least 2 pictures"):
        train_texture([], TextureConfig(), np.random.default_rng(0))


def test_an_untrained_slomo_is_the_plain_formula(shifted):
    first, second = (frame.astype(np.float32) / 255 for frame in shifted[:2])
    learned = Slomo(slomo_network(SlomoConfig(width=4)), dis, 8.0)(first, second, [0.25, 0.5])
    plain = FlowInterpolator(dis)(first, second, [0.25, 0.5])
    for mine, theirs in zip(learned, plain, strict=True):
        assert np.abs(mine.frame - theirs.frame).max() < 1e-4
        assert np.abs(mine.to_first - theirs.to_first).max() < 1e-6


def test_slomo_learns_and_blind_runs_on_any_size(pictures, rng, noisy):
    losses = Losses()
    train_slomo(pictures, dis, SlomoConfig(**{**TINY, "steps": 4}), rng, losses)
    assert len(losses) == 4
    ends = []
    for lr in (1e-9, 1e-3):  # on the same crops, from the same weights
        torch.manual_seed(0)
        losses = Losses()
        config = BlindConfig(**{**TINY, "steps": 12, "frames": 3, "batch_size": 1, "lr": lr})
        network = train_blind(pictures, posterise, config, np.random.default_rng(0), losses)
        ends.append(np.mean(losses[-3:]))
    assert ends[1] < 0.9 * ends[0]
    clip = [frame[:46, :62] for frame in noisy]
    found = list(run_blind(network, clip, posterise))
    assert np.array_equal(found[0], posterise(clip[0].astype(np.float32) / 255))
    assert {frame.shape for frame in found} == {(46, 62, 3)}


def test_transform_net_has_the_sheets_layers():
    network = TransformNet(32)
    parameters = sum(value.numel() for value in network.parameters())
    out, (hidden, cell) = network(torch.rand(1, 12, 16, 24), None)
    assert out.shape == (1, 3, 16, 24)
    assert hidden.shape == cell.shape == (1, 128, 4, 6)
    assert parameters == 2_979_555


@pytest.mark.parametrize("name", ["style", "inpainting"])
def test_weights_come_back_from_a_file(name, pictures, tmp_path, noisy):
    config = {"style": StyleConfig, "inpainting": InpaintingConfig}[name](**{**TINY, "steps": 2})
    made = [trained(name, 1, pictures=pictures, config=config) for _ in range(2)]
    path = tmp_path / "weights.safetensors"
    save_network(path, *made[0])
    masks = [np.eye(48, 64, dtype=bool)] * 2 if name == "inpainting" else None
    runs = [
        list(hypercon(noisy[:2], from_network(network), masks=masks))
        for network in (made[0][0], made[1][0], load_network(name, path))
    ]
    for other in runs[1:]:
        assert np.array_equal(runs[0], other)
    other = {"style": "inpainting", "inpainting": "style"}[name]
    with pytest.raises(UserError, match=f"does not hold the weights of '{other}'"):
        load_network(other, path)
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(UserError, match=f"does not hold the weights of '{name}'"):
        load_network(name, path)
    with pytest.raises(UserError, match="there is no file of weights"):
        load_network(name, tmp_path / "no")


def test_names_and_colour_maps(noisy):
    assert weightless("posterise") is posterise
    assert weightless("style") is None
    with pytest.raises(UserError, match=r"no image model 'no'. Known: posterise \(six levels"):
        weightless("no")
    palette = np.uint8([[255, 0, 0], [0, 255, 0], [0, 0, 255]])
    frame = noisy[0].astype(np.float32) / 255
    coloured = colour_map(torch.nn.Identity(), palette)(frame)
    assert np.array_equal(coloured.argmax(axis=2), frame.argmax(axis=2))


def test_a_loss_that_is_not_finite_is_a_sentence(pictures, rng):
    config = InpaintingConfig(**TINY, lr=1e30)
    with pytest.raises(UserError, match="the loss of Padded is"):
        train_inpainting(pictures, config, rng)


def test_style_network_has_these_parameters():
    count = sum(value.numel() for value in style_network(StyleConfig()).parameters())
    assert count == 155_091
