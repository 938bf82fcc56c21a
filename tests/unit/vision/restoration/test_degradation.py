import math

import pytest
import torch
from pydantic import ValidationError
from skimage import data as photographs
from sklearn.datasets import load_sample_image

from fedzda.base import UserError, torch_rng
from fedzda.vision.metrics.psnr import psnr
from fedzda.vision.restoration.degradation import DegradationPool, jpeg
from fedzda.vision.restoration.degradation_config import PRESETS, DegradationConfig
from fedzda.vision.restoration.imresize import imresize, rounded
from fedzda.vision.restoration.kernel_estimation import estimate_blur, power_spectrum
from fedzda.vision.restoration.kernels import GaussianBlur, blur_down, from_covariance, moments
from fedzda.vision.restoration.noise import gaussian
from fedzda.vision.restoration.noise_pool import add_noise, flat_patches
from fedzda.vision.restoration.real_world import EstimatedDegradation, clean_up


def photograph(name, side=256):
    if name in ("china.jpg", "flower.jpg"):
        pixels = torch.tensor(load_sample_image(name).copy())
    else:
        pixels = torch.tensor(getattr(photographs, name)())
    image = pixels.permute(2, 0, 1).unsqueeze(0).float() / 255
    return imresize(image, 0.5).clamp(0, 1)[0, :, :side, :side]


# ---------------------------------------------------------------------------------------------
# Kernels


@pytest.mark.parametrize("side", [25, 24])
def test_kernels_have_the_moments_they_were_made_of(side):
    blur = GaussianBlur(2.5, 1.2, 0.6)
    kernel = blur.kernel(side)
    assert kernel.sum().item() == pytest.approx(1)
    found = moments(kernel)
    assert (found.wide, found.narrow) == pytest.approx((2.5, 1.2), rel=0.01)
    assert found.angle == pytest.approx(0.6, abs=0.01)
    assert kernel[side // 2 + 2, side // 2 + 2] > kernel[side // 2 - 3, side // 2 + 2]


def test_from_covariance_undoes_covariance():
    blur = GaussianBlur(3.0, 0.5, 2.0)
    found = from_covariance(blur.covariance())
    assert (found.wide, found.narrow, found.angle) == pytest.approx((3.0, 0.5, 2.0))


@pytest.mark.parametrize(("scale", "side"), [(4, 24), (2, 12), (3, 13), (1, 9)])
def test_blur_down_does_not_shift(scale, side):
    ramp = torch.arange(48.0).expand(1, 2, 24, 48)
    small = blur_down(ramp, GaussianBlur(1.0, 1.0).kernel(side), scale)
    centres = torch.arange(48 // scale) * scale + (scale - 1) / 2
    assert small.shape == (1, 2, 24 // scale, 48 // scale)
    inner = slice(6 // min(scale, 6) + 2, -6 // min(scale, 6) - 2)
    torch.testing.assert_close(small[0, 0, 1, inner], centres[inner])


def test_blur_down_says_what_does_not_fit():
    with pytest.raises(UserError, match="plus an even number"):
        blur_down(torch.rand(1, 1, 8, 8), torch.ones(5, 5), 4)
    with pytest.raises(UserError, match="multiples of 4"):
        blur_down(torch.rand(1, 1, 8, 9), torch.ones(4, 4) / 16, 4)


@pytest.mark.parametrize("blur", [GaussianBlur(1.6, 1.6), GaussianBlur(3.0, 1.2, 0.7)])
def test_a_camera_s_blur_is_found_from_its_images_alone(blur):
    clean = [photograph(n) for n in ("china.jpg", "astronaut")]
    sharp = [photograph(n) for n in ("flower.jpg", "coffee", "rocket", "chelsea")]
    target = [photograph(n) for n in ("flower.jpg", "coffee", "rocket", "chelsea")]
    fits = [image[:, : image.shape[1] // 2 * 2, : image.shape[2] // 2 * 2] for image in target]
    small = [blur_down(i.unsqueeze(0), blur.kernel(16), 2) for i in fits]
    small = [gaussian(s, 2 / 255, torch_rng(0, "noise"))[0] for s in small]
    found = estimate_blur(small, power_spectrum([*clean, *sharp], 64), 2)
    assert found.blur.wide == pytest.approx(blur.wide, rel=0.2)
    assert found.blur.narrow == pytest.approx(blur.narrow, rel=0.25)
    if blur.wide > 2:
        assert abs(math.remainder(found.blur.angle - blur.angle, math.pi)) < 0.2
    assert found.noise == pytest.approx(2 / 255, rel=0.5)


def test_estimation_needs_a_spectrum_of_the_scale():
    with pytest.raises(UserError, match="side=128"):
        estimate_blur([torch.rand(3, 64, 64)], torch.ones(64, 64), 4)
    with pytest.raises(UserError, match="64 pixels on each side"):
        power_spectrum([torch.rand(3, 63, 99)], 64)


# ---------------------------------------------------------------------------------------------
# Noise pool


def test_flat_patches_are_noise_without_content():
    image = torch.full((3, 64, 96), 0.5)
    image[:, :32, :32] = torch.linspace(0, 1, 32)  # an edge: too much variance
    noisy = gaussian(image, 2 / 255, torch_rng(0, "noise"))
    pool = flat_patches([noisy, noisy], side=32)
    assert pool.shape == (10, 3, 32, 32)
    assert pool.mean(dim=(2, 3)).abs().max() < 1e-6
    assert pool.std().item() == pytest.approx(2 / 255, rel=0.05)
    assert len(flat_patches([noisy, noisy / 2], side=32, min_mean=100.0)) == 5
    with pytest.raises(UserError, match="is that flat"):
        flat_patches([torch.rand(3, 64, 64)])
    with pytest.raises(UserError, match="no patch of 48 pixels"):
        flat_patches([noisy[:, :40]], side=48)
    assert len(flat_patches([noisy[:, :20], noisy], side=32)) == len(flat_patches([noisy], side=32))
    with pytest.raises(UserError, match="is that flat"):
        flat_patches([])


@pytest.mark.parametrize("size", [(16, 20), (40, 70)])
def test_noise_of_the_pool_is_added(size):
    pool = flat_patches([gaussian(torch.full((3, 96, 96), 0.5), 2 / 255, torch_rng(0, "noise"))])
    images = torch.full((2, 3, *size), 0.4)
    noise = add_noise(images, pool, torch_rng(0, "add")) - images
    assert noise.shape == images.shape
    assert noise.std().item() == pytest.approx(2 / 255, rel=0.1)
    assert noise.mean().abs().item() < 2e-4
    assert not torch.equal(noise[0], noise[1])
    with pytest.raises(UserError, match="3 channels"):
        add_noise(images[:, :1], pool, torch_rng(0, "add"))


# ---------------------------------------------------------------------------------------------
# Pools


def test_the_plain_pool_is_imresize():
    image = photograph("astronaut", 64)
    small = DegradationPool(DegradationConfig())(image, torch_rng(0, "pool"))
    torch.testing.assert_close(small, rounded(imresize(image.unsqueeze(0), 0.25))[0])


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("channels", [1, 3])
def test_pools_make_small_images_that_depend_on_the_generator_alone(preset, channels):
    pool = DegradationPool(DegradationConfig(preset=preset))
    image = photograph("astronaut", 64)[:channels]
    first, again, other = (pool(image, torch_rng(seed, "pool")) for seed in (0, 0, 1))
    assert first.shape == (channels, 16, 16)
    assert first.min() >= 0
    assert first.max() <= 1
    assert torch.equal(first, again)
    assert (preset == "bicubic") == torch.equal(first, other)
    plain = imresize(image.unsqueeze(0), 0.25)
    assert psnr(first.unsqueeze(0), plain).item() > 12


def test_grey_noise_is_alike_in_all_channels():
    config = DegradationConfig(scale=1, gaussian=[10.0, 10.0], grey=1.0)
    image = torch.full((3, 32, 32), 0.5)
    noise = DegradationPool(config)(image, torch_rng(0, "pool")) - image
    assert noise.std() > 0.03
    assert torch.equal(noise[0], noise[1])


def test_jpeg_of_low_quality_is_worse():
    image = photograph("astronaut", 64).unsqueeze(0)
    assert psnr(jpeg(image, 95), image).item() > psnr(jpeg(image, 20), image).item() + 3


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"blur": [2.0, 1.0]}, "ascending order"),
        ({"jpeg": [30.0, 101.0]}, "up to 100"),
        ({"kernel_side": 4}, "has to be odd"),
        ({"grey": 0.6, "correlated": 0.6}, "shares of one noise"),
    ],
)
def test_senseless_pools_are_refused(given, message):
    with pytest.raises(ValidationError, match=message):
        DegradationConfig(**given)


def test_presets_survive_a_round_trip():
    for preset in PRESETS:
        config = DegradationConfig(preset=preset)
        assert DegradationConfig.model_validate(config.model_dump()) == config


def test_images_have_to_fit_the_scale():
    with pytest.raises(UserError, match="multiples of 4"):
        DegradationPool(DegradationConfig())(torch.rand(3, 30, 32), torch_rng(0, "pool"))


# ---------------------------------------------------------------------------------------------
# The recipe without pairs


def test_clean_up_takes_noise_away():
    clean = torch.full((3, 65, 67), 0.5)
    noisy = gaussian(clean, 0.05, torch_rng(0, "noise"))
    result = clean_up(noisy, 4)
    assert result.shape == (3, 32, 32)
    assert (result - 0.5).std() < 0.7 * 0.05
    with pytest.raises(UserError, match="4 pixels on each side"):
        clean_up(torch.rand(3, 6, 6), 4)


def test_the_estimated_degradation_blurs_and_adds_noise():
    image = photograph("astronaut", 64)
    plain = EstimatedDegradation(4)(image, torch_rng(0, "camera"))
    torch.testing.assert_close(plain, imresize(image.unsqueeze(0), 0.25)[0].clamp(0, 1))
    wide = EstimatedDegradation(4, [GaussianBlur(4, 4)])(image, torch_rng(0, "camera"))
    assert wide.diff(dim=2).abs().mean() < 0.8 * plain.diff(dim=2).abs().mean()
    pool = flat_patches([gaussian(torch.full((3, 32, 32), 0.5), 4 / 255, torch_rng(0, "noise"))])
    noisy = EstimatedDegradation(4, [GaussianBlur(4, 4)], pool)(image, torch_rng(0, "camera"))
    assert (noisy - wide).std().item() == pytest.approx(4 / 255, rel=0.2)
