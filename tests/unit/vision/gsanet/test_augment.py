import pytest
import torch

from fedzda.vision.gsanet.augment import augment
from fedzda.vision.gsanet.config import AugmentationConfig

VOID = 255
STILL = {"scale": [1.0, 1.0], "flip": False, "colour": 0.0}


def pair(n=4, height=12, width=16):
    """Annotations of blocks of 4x4 pixels; the image shows the class."""
    rng = torch.manual_seed(0)
    blocks = torch.randint(0, 5, (n, height // 4, width // 4), generator=rng)
    truth = blocks.repeat_interleave(4, 1).repeat_interleave(4, 2).to(torch.uint8)
    return truth.float().unsqueeze(1).repeat(1, 3, 1, 1) + 1, truth


def changed(seed=1, **options):
    images, truth = pair()
    rng = torch.Generator().manual_seed(seed)
    return augment(images, truth, AugmentationConfig(**options), VOID, rng)


def test_nothing_switched_on_changes_nothing():
    images, truth = pair()
    new_images, new_truth = changed(**STILL)
    assert torch.equal(new_truth, truth)
    assert torch.allclose(new_images, images, atol=1e-4)


def test_image_and_annotation_move_together_and_outside_is_void():
    images, truth = changed(**{**STILL, "flip": True, "scale": [0.5, 0.9], "crop": [20, 24]})
    assert images.shape == (4, 3, 20, 24)
    assert truth.shape == (4, 20, 24)
    inside = truth != VOID
    assert set(truth[inside].unique().tolist()) <= set(range(5))
    assert 0.1 < inside.float().mean() < 0.7
    assert images[:, 0][~inside].max() <= 5 / 2 + 1e-3  # half of a pixel at the most
    flat = torch.nn.functional.max_pool2d(images, 3, 1, 1) == images
    agree = (images[:, 0] - 1 - truth).abs() < 1e-3
    assert (agree | ~inside | ~flat[:, 0])[inside].float().mean() > 0.7


def test_crops_stay_inside_a_larger_image():
    _, truth = changed(**{**STILL, "crop": [8, 8]})
    assert (truth != VOID).all()
    _, other = changed(seed=2, **{**STILL, "crop": [8, 8]})
    assert not torch.equal(truth, other)


def test_flips_mirror():
    images, truth = changed(**{**STILL, "flip": True})
    before_images, before = pair()
    mirrored = [torch.equal(truth[i], before[i].flip(1)) for i in range(4)]
    same = [torch.equal(truth[i], before[i]) for i in range(4)]
    assert all(m or s for m, s in zip(mirrored, same, strict=True))
    assert any(mirrored)
    for i in range(4):
        expected = before_images[i].flip(2) if mirrored[i] else before_images[i]
        assert torch.allclose(images[i], expected, atol=1e-4)


def test_colour_leaves_annotations_alone():
    images, truth = changed(**{**STILL, "colour": 0.5})
    before, expected = pair()
    assert torch.equal(truth, expected)
    assert not torch.allclose(images, before, atol=0.05)


def test_the_generator_decides():
    first, again, other = changed(3), changed(3), changed(4)
    assert torch.equal(first[0], again[0])
    assert torch.equal(first[1], again[1])
    assert not torch.equal(first[0], other[0])


def test_void_survives():
    images, _ = pair()
    truth = torch.full((4, 12, 16), VOID, dtype=torch.uint8)
    rng = torch.Generator().manual_seed(0)
    _, found = augment(images, truth, AugmentationConfig(), VOID, rng)
    assert found.unique().tolist() == [VOID]


@pytest.mark.parametrize("size", [(1, 1), (3, 2)])
def test_tiny_images(size):
    images, truth = torch.ones(1, 1, *size), torch.zeros(1, *size, dtype=torch.uint8)
    rng = torch.Generator().manual_seed(0)
    new, _ = augment(images, truth, AugmentationConfig(crop=[4, 4]), VOID, rng)
    assert new.shape == (1, 1, 4, 4)
    assert torch.isfinite(new).all()
