import itertools

import numpy as np
import pytest
import torch
from sklearn.datasets import load_sample_image

from fedzda.base import UserError, torch_rng
from fedzda.vision.metrics.psnr import psnr
from fedzda.vision.restoration.bayer import (
    PATTERNS,
    augment,
    offset,
    pack,
    turn,
    turn_back,
    turned,
    unify,
    unpack,
)
from fedzda.vision.restoration.camera import (
    Camera,
    demosaic,
    developed_deviation,
    mosaic,
    process,
    random_camera,
    unprocess,
)
from fedzda.vision.restoration.noise import (
    gaussian,
    identity_psnr,
    noise_map,
    poisson_gaussian,
    random_shot_read,
    variance,
)
from fedzda.vision.restoration.permutation import permute_by_channel, permute_noise


def coloured(pattern, height=8, width=12):
    """A mosaic whose values say their colour: r 0.1, g 0.2, b 0.3."""
    image = torch.tensor([0.1, 0.2, 0.3]).view(1, 3, 1, 1).expand(1, 3, height, width)
    return mosaic(image, pattern)


def colours(mosaics):
    names = {0.1: "r", 0.2: "g", 0.3: "b"}
    return "".join(names[round(v, 1)] for v in mosaics[0, 0, :2, :2].flatten().tolist())


def photograph():
    pixels = torch.tensor(load_sample_image("flower.jpg")[::2, ::2].copy()).permute(2, 0, 1)
    return pixels.unsqueeze(0)[:, :, :200, :300].float() / 255


# ---------------------------------------------------------------------------------------------
# Bayer


@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_mosaic_has_its_pattern_and_packs(pattern):
    image = coloured(pattern)
    assert colours(image) == pattern
    assert torch.equal(unpack(pack(image)), image)
    assert pack(image).shape == (1, 4, 4, 6)


@pytest.mark.parametrize(("pattern", "target"), list(itertools.product(PATTERNS, PATTERNS)))
def test_unify_gives_the_target_and_is_undone_exactly(pattern, target):
    image = coloured(pattern) + 0.04 * torch.rand(1, 1, 8, 12)
    cut = unify(coloured(pattern), pattern, target, pad=False)
    assert colours(cut.mosaics) == target
    assert cut.mosaics.shape[2] % 2 == cut.mosaics.shape[3] % 2 == 0
    wide = unify(image, pattern, target, pad=True)
    assert colours((wide.mosaics * 10).floor() / 10) == target
    assert torch.equal(wide.undo(wide.mosaics), image)
    with pytest.raises(UserError, match="cannot be put back"):
        cut.undo(cut.mosaics)


@pytest.mark.parametrize("flips", list(itertools.product((False, True), repeat=3)))
@pytest.mark.parametrize("pattern", PATTERNS)
def test_turned_names_the_pattern_of_a_turned_mosaic(pattern, flips):
    image = coloured(pattern)
    assert colours(turn(image, flips)) == turned(pattern, *flips)
    assert torch.equal(turn_back(turn(image, flips), flips), image)


@pytest.mark.parametrize("pattern", PATTERNS)
def test_augmented_mosaics_keep_their_pattern(pattern):
    rng = torch_rng(0, "test")
    shapes = set()
    for _ in range(40):
        image = augment(coloured(pattern), pattern, rng)
        assert colours(image) == pattern
        shapes.add(image.shape[2:])
    assert len(shapes) > 2


def test_bayer_says_what_it_needs():
    with pytest.raises(UserError, match="choose one of rggb"):
        offset("rgbg", "rggb")
    with pytest.raises(UserError, match="even height"):
        unify(torch.rand(1, 1, 5, 6), "rggb", "bggr", pad=True)
    with pytest.raises(UserError, match="one channel"):
        pack(torch.rand(1, 2, 4, 6))


# ---------------------------------------------------------------------------------------------
# Camera


@pytest.mark.parametrize("pattern", PATTERNS)
def test_demosaic_is_exact_where_it_can_be(pattern):
    flat = torch.tensor([0.1, 0.5, 0.9]).view(1, 3, 1, 1).expand(1, 3, 8, 10)
    torch.testing.assert_close(demosaic(mosaic(flat, pattern), pattern), flat)
    ramp = torch.linspace(0, 1, 12).expand(1, 3, 8, 12)
    result = demosaic(mosaic(ramp, pattern), pattern)
    torch.testing.assert_close(result[:, :, :, 2:-2], ramp[:, :, :, 2:-2])


def test_a_photograph_survives_unprocessing():
    image = photograph()
    for seed in range(3):
        camera = random_camera(torch_rng(seed, "camera"))
        raw = unprocess(image, camera, "grbg")
        assert raw.shape == (1, 1, 200, 300)
        assert raw.min() >= 0
        assert raw.max() <= 1
        assert raw.mean() < 0.6 * image.mean()  # linear and before the gains: darker
        assert (
            psnr(process(raw, camera, "grbg"), image).item() > 25
        )  # highlights and fine colours go
    flat = torch.full((1, 3, 8, 8), 0.4)
    torch.testing.assert_close(process(unprocess(flat, camera), camera), flat, atol=1e-5, rtol=0)


def test_highlights_stay_near_white_in_all_colours():
    camera = random_camera(torch_rng(0, "camera"))
    white = unprocess(torch.ones(1, 3, 8, 8), camera)
    torch.testing.assert_close(white, torch.ones(1, 1, 8, 8), atol=1e-4, rtol=0)


@pytest.mark.parametrize("size", [(3, 9, 8), (3, 8, 9), (1, 8, 8), (4, 8, 8)])
def test_mosaics_are_made_of_colour_images_with_even_sides(size):
    camera = random_camera(torch_rng(0, "camera"))
    for make in (lambda image: unprocess(image, camera), mosaic):
        with pytest.raises(UserError, match=f"3 channels and an even.*got {size[0]} of"):
            make(torch.rand(1, *size))


def test_cameras_are_within_their_ranges():
    cameras = [random_camera(torch_rng(seed, "camera")) for seed in range(50)]
    assert all(1.9 <= c.red <= 2.4 and 1.5 <= c.blue <= 1.9 for c in cameras)
    assert np.mean([1 / c.exposure for c in cameras]) == pytest.approx(0.8, abs=0.05)
    for camera in cameras:
        torch.testing.assert_close(camera.matrix.sum(1), torch.ones(3))
    camera = Camera(torch.eye(3), 2.0, 1.5, 1.25)
    assert camera.gains(torch.zeros(1)).flatten().tolist() == pytest.approx([2.5, 1.25, 1.875])


@pytest.mark.parametrize(("level", "tolerance"), [(0.3, 0.03), (0.9, 0.03), (0.02, 0.3)])
@pytest.mark.parametrize("pattern", ["rggb", "gbrg"])
def test_the_deviation_of_developed_noise_is_that_of_many_shots(level, tolerance, pattern):
    """Near black, where the tone curve bends most, it is up to 30 % too large."""
    camera = random_camera(torch_rng(1, "camera"))
    raw = unprocess(torch.full((500, 3, 8, 8), level), camera, pattern)
    noisy = poisson_gaussian(raw, 0.003, 1e-5, torch_rng(0, "noise")).clamp(0, 1)
    known = developed_deviation(noisy, variance(noisy, 0.003, 1e-5), camera, pattern)
    inner = (..., slice(2, 6), slice(2, 6))
    found = process(noisy, camera, pattern).std(dim=0)[inner]
    expected = known.square().mean(dim=0).sqrt()[inner]
    assert expected.mean((1, 2)).tolist() == pytest.approx(
        found.mean((1, 2)).tolist(), rel=tolerance
    )
    places = expected.mean(0).flatten()
    assert places.max() > 1.1 * places.min()  # a value that was measured, or a mean of neighbours


def test_the_deviation_of_developed_noise_has_ends():
    camera = random_camera(torch_rng(0, "camera"))
    ends = torch.tensor([0.0, 1.0]).view(2, 1, 1, 1).expand(2, 1, 8, 8)
    known = developed_deviation(ends, variance(ends, 0.01, 1e-4), camera)
    assert known.shape == (2, 3, 8, 8)
    assert 0 <= float(known.min()) <= float(known.max()) < 0.5
    assert not developed_deviation(ends, torch.zeros_like(ends), camera).any()


# ---------------------------------------------------------------------------------------------
# Noise


def test_identity_psnr_is_the_closed_form():
    clean = photograph()
    shot, read = 0.01, 0.0005
    noisy = poisson_gaussian(clean, shot, read, torch_rng(0, "noise"))
    assert psnr(noisy, clean).item() == pytest.approx(identity_psnr(clean, shot, read), abs=0.02)
    noisy = gaussian(clean, 25 / 255, torch_rng(0, "noise"))
    assert psnr(noisy, clean).item() == pytest.approx(20.17, abs=0.05)


def test_noise_depends_on_brightness_and_on_nothing_else():
    clean = torch.tensor([0.0, 0.8]).view(1, 1, 2, 1).expand(1, 1, 2, 20_000)
    noise = poisson_gaussian(clean, 0.01, 0.001, torch_rng(0, "noise")) - clean
    assert noise.var(dim=3).flatten().tolist() == pytest.approx([0.001, 0.009], rel=0.05)
    assert variance(clean, 0.01, 0.001)[0, 0, :, 0].tolist() == pytest.approx([0.001, 0.009])
    assert noise_map(clean, 0.0, 0.01).unique().tolist() == pytest.approx([0.1])
    again = poisson_gaussian(clean, 0.01, 0.001, torch_rng(0, "noise")) - clean
    assert torch.equal(noise, again)


def test_random_shot_and_read_follow_the_published_line():
    rng = torch_rng(0, "cameras")
    logs = np.log([random_shot_read(rng) for _ in range(500)])
    assert logs[:, 0].min() >= np.log(1e-4)
    assert logs[:, 0].max() <= np.log(0.012)
    rest = logs[:, 1] - 2.18 * logs[:, 0] - 1.20
    assert rest.mean() == pytest.approx(0, abs=0.05)
    assert rest.std() == pytest.approx(0.26, abs=0.03)


@pytest.mark.parametrize("ties", [False, True])
def test_permutation_moves_noise_inside_bins_of_one_colour(ties):
    clean = torch.rand(2, 1, 16, 16, generator=torch_rng(0, "clean")).double()
    if ties:
        clean = torch.where(torch.arange(16) < 8, 0.25, 0.75).expand(2, 1, 16, 16).double()
    noisy = poisson_gaussian(clean, 0.02, 0.001, torch_rng(0, "noise"))
    result = permute_noise(noisy, clean, 16, torch_rng(0, "permutation"))
    old, new = pack(noisy - clean).flatten(2), pack(result - clean).flatten(2)
    assert not torch.allclose(old, new)
    torch.testing.assert_close(old.sort(dim=2).values, new.sort(dim=2).values)
    if not ties:  # the bins are known: their contents are the same
        order = pack(clean).flatten(2).argsort(dim=2)
        bins = [torch.gather(n, 2, order).view(2, 4, 4, 16).sort(dim=3).values for n in (old, new)]
        torch.testing.assert_close(*bins)
    else:
        level = pack(clean).flatten(2)
        for value in (0.25, 0.75):
            parts = [n[level == value].reshape(8, 32) for n in (old, new)]
            assert not torch.equal(*parts)
            torch.testing.assert_close(*(part.sort(dim=1).values for part in parts))


def test_permutation_of_one_large_bin_and_errors():
    clean = torch.rand(1, 1, 4, 6)
    result = permute_noise(clean + 0.1, clean, 1000, torch_rng(0, "permutation"))
    torch.testing.assert_close(result, clean + 0.1)
    with pytest.raises(UserError, match="2 pixels or more"):
        permute_noise(clean, clean, 1, torch_rng(0, "permutation"))


def test_every_channel_is_permuted_by_itself_and_odd_ends_stay():
    clean = torch.rand(2, 3, 9, 7, generator=torch_rng(0, "clean")).double()
    noise = torch.randn(2, 3, 9, 7, generator=torch_rng(0, "noise")).double()
    moved = permute_by_channel(clean + noise, clean, 8, torch_rng(0, "permutation")) - clean
    torch.testing.assert_close(moved[:, :, 8], noise[:, :, 8])
    torch.testing.assert_close(moved[:, :, :, 6], noise[:, :, :, 6])
    for old, new in zip(noise[:, :, :8, :6], moved[:, :, :8, :6], strict=True):
        planes = [pack(n.unsqueeze(1)).flatten(2) for n in (old, new)]
        assert not torch.allclose(*planes)
        torch.testing.assert_close(*(plane.sort(dim=2).values for plane in planes))
    alone = permute_noise(noise[:, :1, :8, :6], clean[:, :1, :8, :6], 8, torch_rng(0, "x"))
    again = permute_by_channel(noise[:, :1, :8, :6], clean[:, :1, :8, :6], 8, torch_rng(0, "x"))
    assert torch.equal(alone, again)
