import itertools

import pytest
import torch
from torch.nn import functional

from fedzda.base import UserError, torch_rng
from fedzda.vision.restoration.bayer import PATTERNS, turn
from fedzda.vision.restoration.ensemble import restore, self_ensemble
from fedzda.vision.restoration.patches import patches

KERNEL = torch.arange(9.0).view(1, 1, 3, 3) / 36


def skewed(images):
    """A filter that treats directions differently."""
    return functional.conv2d(images, KERNEL, padding=1)


def test_the_ensemble_treats_all_directions_alike():
    image = torch.rand(1, 1, 7, 10)
    result = self_ensemble(skewed, image)
    assert not torch.allclose(skewed(turn(image, (1, 0, 0))), turn(skewed(image), (1, 0, 0)))
    for flips in itertools.product((False, True), repeat=3):
        turned = self_ensemble(skewed, turn(image, flips))
        torch.testing.assert_close(turned, turn(result, flips))


@pytest.mark.parametrize(
    "answer",
    [
        lambda x: x[:, :, 1:-1, 1:-1],
        lambda x: (x, x),
        lambda x: x.mean((2, 3)),
        lambda x: x.repeat(1, 1, 2, 3),
    ],
    ids=["smaller", "tuple", "logits", "unevenly-larger"],
)
def test_an_answer_that_is_no_image_comes_back_as_it_is(answer):
    """Whoever asks then says what was wrong with it."""
    image = torch.rand(1, 3, 8, 8)
    found, wanted = restore(answer, image), answer(image)
    assert type(found) is type(wanted)
    for one, other in zip(found, wanted, strict=True):
        assert torch.equal(one, other)


def test_the_ensemble_of_the_identity_is_the_identity():
    image = torch.rand(2, 3, 9, 6)
    torch.testing.assert_close(self_ensemble(lambda x: x, image, multiple=4), image)
    for pattern in PATTERNS:
        raw = torch.rand(1, 1, 8, 6)
        torch.testing.assert_close(self_ensemble(lambda x: x, raw, 8, pattern), raw)


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_network_for_mosaics_sees_its_own_pattern_only(pattern):
    # Transposing swaps the two greens, so their gains are equal.
    gains = torch.tensor([{"r": 0.2, "g": 0.5, "b": 0.9}[c] for c in pattern]).view(1, 4, 1, 1)

    def per_place(mosaics):  # wrong for every other pattern
        return functional.pixel_shuffle(functional.pixel_unshuffle(mosaics, 2) * gains, 2)

    raw = torch.rand(1, 1, 8, 10)
    torch.testing.assert_close(self_ensemble(per_place, raw, pattern=pattern), per_place(raw))


def test_results_may_be_larger():
    def double(images):
        return functional.interpolate(images, scale_factor=2.0)

    image = torch.rand(1, 3, 5, 6)
    assert restore(double, image, 4).shape == (1, 3, 10, 12)
    torch.testing.assert_close(self_ensemble(double, image, 4), double(image))


def test_patches_are_aligned_and_reproducible():
    place = torch.arange(20.0 * 30).view(1, 20, 30)
    scenes = [(place, place + 0.5, place.repeat_interleave(2, 1).repeat_interleave(2, 2))] * 2
    first, second, large = patches(scenes, 6, 8, torch_rng(0, "patches"))
    assert first.shape == second.shape == (6, 1, 8, 8)
    assert large.shape == (6, 1, 16, 16)
    assert torch.equal(first + 0.5, second)
    assert torch.equal(large[:, :, ::2, ::2], first)
    assert torch.equal(patches(scenes, 6, 8, torch_rng(0, "patches"))[0], first)
    assert len({tuple(p.flatten().tolist()) for p in first}) == 6


def test_patches_can_keep_a_bayer_pattern():
    parity = torch.tensor([[0.0, 1.0], [2.0, 3.0]]).repeat(10, 15).unsqueeze(0)
    (cut,) = patches([(parity,)], 20, 6, torch_rng(0, "patches"), flips=False, step=2)
    assert (cut[:, 0, :2, :2].reshape(20, 4) == torch.arange(4.0)).all()


def test_patches_say_what_they_need():
    with pytest.raises(UserError, match="no larger than the images"):
        patches([(torch.rand(1, 4, 9),)], 1, 5, torch_rng(0, "patches"))
    with pytest.raises(UserError, match="one scene or more"):
        patches([], 1, 5, torch_rng(0, "patches"))


@pytest.mark.parametrize(
    "size", [(100, 100), (32, 32), (0, 0), (60, 64), (64, 60), (128, 64), (64, 128)]
)
def test_images_of_a_scene_have_one_factor(size):
    scene = (torch.rand(3, 64, 64), torch.rand(3, *size))
    with pytest.raises(UserError, match=rf"same whole multiple.*got {size[0]}x{size[1]} beside"):
        patches([scene], 2, 16, torch_rng(0, "patches"))
