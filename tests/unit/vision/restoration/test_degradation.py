import math
from itertools import permutations

import pytest
import torch
from pydantic import ValidationError
from skimage import data as photographs
from sklearn.datasets import load_sample_image
from torch.nn import functional

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
    for size in ((8, 16), (16, 8)):
        with pytest.raises(UserError, match="24 pixels at scale 4 needs more than 10"):
            blur_down(torch.rand(1, 1, *size), GaussianBlur(2, 2).kernel(24), 4)
    with pytest.raises(UserError, match="18 pixels at scale 2 needs more than 8"):
        blur_down(torch.rand(1, 1, 8, 8), GaussianBlur(2, 2).kernel(18), 2)
    assert blur_down(torch.rand(1, 1, 10, 10), GaussianBlur(2, 2).kernel(18), 2).shape[2] == 5


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


@pytest.mark.parametrize("level", [0.0, 0.5])
@pytest.mark.parametrize("clean", [torch.zeros(3, 128, 128), photograph("astronaut", 128)])
def test_images_without_structure_have_a_finite_estimate(level, clean):
    power = power_spectrum([clean], 64)
    found = estimate_blur([torch.full((3, 32, 32), level)], power, 2)
    numbers = (found.blur.wide, found.blur.narrow, found.blur.angle, found.noise, found.error)
    assert all(math.isfinite(number) for number in numbers)
    assert found.noise < 0.01 / 255
    assert found.blur.kernel(24).isfinite().all()


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
    with pytest.raises(UserError, match=r"side is 48, and no image.*got 40x96"):
        flat_patches([noisy[:, :40]], side=48)
    with pytest.raises(UserError, match="min_mean is 0, and no patch of 32"):
        flat_patches([torch.zeros(3, 64, 64)])
    assert len(flat_patches([noisy[:, :20], noisy], side=32)) == len(flat_patches([noisy], side=32))
    with pytest.raises(UserError, match="one image or more"):
        flat_patches([])
    with pytest.raises(UserError, match="floating point"):
        flat_patches([torch.full((3, 64, 64), 100, dtype=torch.uint8)])


@pytest.mark.parametrize("size", [(16, 20), (40, 70)])
def test_noise_of_the_pool_is_added(size):
    pool = flat_patches([gaussian(torch.full((3, 96, 96), 0.5), 2 / 255, torch_rng(0, "noise"))])
    images = torch.full((2, 3, *size), 0.4)
    noise = add_noise(images, pool, torch_rng(0, "add")) - images
    assert noise.shape == images.shape
    assert noise.std().item() == pytest.approx(2 / 255, rel=0.1)
    assert noise.mean().abs().item() < 2e-4
    assert not torch.equal(noise[0], noise[1])
    if size[0] < 32:  # cut from one patch, whose mean over a part is not 0
        assert noise.mean(dim=(2, 3)).abs().max() < 1e-6
    assert add_noise(torch.zeros_like(images), pool, torch_rng(0, "add")).min() == 0
    with pytest.raises(UserError, match="3 channels"):
        add_noise(images[:, :1], pool, torch_rng(0, "add"))


def test_crops_of_the_pool_have_mean_0_and_the_result_is_clipped():
    ramp = torch.linspace(-0.2, 0.2, 32).expand(1, 3, 32, 32)  # the mean of a crop is not 0
    noise = add_noise(torch.full((4, 3, 8, 8), 0.5), ramp, torch_rng(0, "add")) - 0.5
    assert noise.abs().max() > 0.03
    assert noise.mean(dim=(2, 3)).abs().max() < 1e-6
    ends = torch.tensor([0.0, 1.0]).view(2, 1, 1, 1).expand(2, 3, 8, 8)
    noisy = add_noise(ends, ramp, torch_rng(0, "add"))
    assert (noisy.min().item(), noisy.max().item()) == (0, 1)


# ---------------------------------------------------------------------------------------------
# Pools


def test_the_plain_pool_is_imresize():
    image = photograph("astronaut", 64)
    small = DegradationPool(DegradationConfig())(image, torch_rng(0, "pool"))
    torch.testing.assert_close(small, rounded(imresize(image.unsqueeze(0), 0.25))[0])


@pytest.mark.parametrize("kind", ["bicubic", "bilinear"])
def test_resizes_may_do_without_antialiasing(kind):
    image = photograph("astronaut", 64)
    config = DegradationConfig(resizers=[kind], antialias=False)
    small = DegradationPool(config)(image, torch_rng(0, "pool"))
    expected = functional.interpolate(image.unsqueeze(0), size=(16, 16), mode=kind)
    torch.testing.assert_close(small, rounded(expected)[0])


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


def expected_of_steps(image, steps):
    """What ``[2.0, 2.0]`` blur, bicubic halving and JPEG 20 leave, in the order given."""
    image = image.unsqueeze(0)
    for step in steps:
        if step == "blur":
            image = blur_down(image, GaussianBlur(2.0, 2.0).kernel(21), 1)
        elif step == "resize":
            image = imresize(image, 0.5)
        else:
            image = jpeg(image, 20)
    return rounded(image)[0]


FIXED = {"scale": 2, "blur": [2.0, 2.0], "anisotropic": 0.0, "jpeg": [20.0, 20.0]}


def test_blur_comes_before_resize_and_jpeg():
    image = photograph("astronaut", 64)
    small = DegradationPool(DegradationConfig(**FIXED))(image, torch_rng(0, "pool"))
    torch.testing.assert_close(small, expected_of_steps(image, ["blur", "resize", "jpeg"]))


def test_shuffled_steps_come_in_every_order():
    image = photograph("astronaut", 64)
    orders = [expected_of_steps(image, steps) for steps in permutations(["blur", "resize", "jpeg"])]
    pool = DegradationPool(DegradationConfig(**FIXED, shuffle=True))
    found = [pool(image, torch_rng(seed, "pool")) for seed in range(40)]
    hits = [[torch.allclose(small, order, atol=1e-3) for order in orders] for small in found]
    assert all(map(any, hits))
    assert all(map(any, zip(*hits, strict=True)))


def test_noise_comes_after_blur_and_resize_and_before_jpeg():
    grey = torch.full((3, 64, 64), 0.5)
    given = {"scale": 2, "blur": [3.0, 3.0], "gaussian": [10.0, 10.0]}
    loud = DegradationPool(DegradationConfig(**given))(grey, torch_rng(0, "pool"))
    assert loud.std().item() == pytest.approx(10 / 255, rel=0.05)
    packed = DegradationPool(DegradationConfig(**given, jpeg=[5.0, 5.0]))(
        grey, torch_rng(0, "pool")
    )
    assert packed.std() < 0.5 * loud.std()


def test_every_order_has_its_own_settings():
    config = DegradationConfig(
        scale=4,
        orders=2,
        anisotropic=0.0,
        resizers=["bilinear"],
        blur=[[1.0, 1.0], [2.0, 2.0]],
        blur_share=1.0,
        resize=[[0.75, 0.75], [1.25, 1.25]],
        jpeg=[[60.0, 60.0], [30.0, 30.0]],
    )
    image = photograph("astronaut", 64)
    small = DegradationPool(config)(image, torch_rng(0, "pool"))
    expected = image.unsqueeze(0)
    # The factor of the last order is one on the small size: 1.25 * 64 / 4.
    for sigma, side, quality in ((1.0, 48, 60), (2.0, 20, 30)):
        expected = blur_down(expected, GaussianBlur(sigma, sigma).kernel(21), 1)
        expected = functional.interpolate(
            expected, size=(side, side), mode="bilinear", antialias=True
        )
        expected = jpeg(expected, quality)
    expected = functional.interpolate(expected, size=(16, 16), mode="bilinear", antialias=True)
    torch.testing.assert_close(small, rounded(expected)[0])
    once = config.model_copy(update={"blur_share": [0.0, 1.0]})
    assert not torch.equal(DegradationPool(once)(image, torch_rng(0, "pool")), small)


def test_jpeg_share_is_the_share_of_images():
    image = photograph("astronaut", 32)
    plain = DegradationPool(DegradationConfig())(image, torch_rng(0, "pool"))
    pool = DegradationPool(DegradationConfig(jpeg=[10.0, 10.0], jpeg_share=0.3))
    spared = sum(torch.equal(pool(image, torch_rng(seed, "pool")), plain) for seed in range(60))
    assert 34 <= spared <= 50  # 42 expected, standard deviation 3.5


def test_the_final_filter_rings_before_or_after_the_last_jpeg():
    edge = torch.full((3, 32, 32), 0.25)
    edge[:, :, 16:] = 0.75
    ringing = DegradationPool(DegradationConfig(scale=1, sinc=1.0))
    assert max(ringing(edge, torch_rng(seed, "pool")).max() for seed in range(4)) > 0.78
    given = {"scale": 1, "sinc": 1.0, "jpeg": [30.0, 30.0]}
    image = photograph("astronaut", 32)

    def again(share):
        """How much a further JPEG changes: little if JPEG came last."""
        pool = DegradationPool(DegradationConfig(**given, sinc_before_jpeg=share))
        found = [pool(image, torch_rng(seed, "pool")).unsqueeze(0) for seed in range(12)]
        return [(jpeg(one, 30) - one).abs().mean().item() for one in found]

    assert max(again(1.0)) < 0.5 * min(again(0.0))
    assert len({one < 0.5 * min(again(0.0)) for one in again(0.5)}) == 2


def noise_of(config, level, seed=0):
    image = torch.full((3, 96, 96), level)
    return DegradationPool(config)(image, torch_rng(seed, "pool")) - image


def test_camera_noise_grows_with_the_light():
    config = DegradationConfig(scale=1, poisson=1.0)
    ratios = [noise_of(config, 0.6, s).std() / noise_of(config, 0.1, s).std() for s in range(6)]
    assert min(ratios) > 1.3


@pytest.mark.parametrize("level", [0.2, 0.7])
def test_poisson_noise_has_the_variance_of_its_scale(level):
    config = DegradationConfig(scale=1, poisson=1.0, poisson_scale=[2.0, 2.0])
    noise, seen = noise_of(config, level), round(level * 255) / 255
    assert noise.std().item() == pytest.approx(2 * math.sqrt(seen / 256), rel=0.05)
    assert not torch.equal(noise[0], noise[1])
    grey = noise_of(config.model_copy(update={"grey": 1.0}), level)
    assert torch.equal(grey[0], grey[1])
    few = config.model_copy(update={"poisson_levels": 0, "poisson_scale": [0.1, 0.1]})
    # One distinct value: one photon, as the public code has it.
    assert noise_of(few, 0.5).abs().max() > 0.04


def test_correlated_noise_is_a_mixture_of_the_channels():
    config = DegradationConfig(scale=1, gaussian=[10.0, 10.0], correlated=1.0)
    off = ~torch.eye(3, dtype=torch.bool)
    found = [noise_of(config, 0.5, seed).flatten(1) for seed in range(6)]
    shared = torch.stack([one.corrcoef()[off].abs() for one in found])
    assert shared.mean() > 0.3
    assert shared.max() < 0.999
    for one in found:
        torch.testing.assert_close(one.std(dim=1), torch.full((3,), 10 / 255), rtol=0.05, atol=0)


def test_real_esrgan_has_the_ranges_of_its_authors(monkeypatch):
    config = DegradationConfig(preset="real-esrgan")
    first, second = config.of_order(0), config.of_order(1)
    assert (first.blur, second.blur) == ([0.2, 3.0], [0.2, 1.5])
    assert (first.resize, second.resize) == ([0.15, 1.5], [0.3, 1.2])
    assert (first.poisson_scale, second.poisson_scale) == ([0.05, 3.0], [0.05, 2.5])
    assert (first.gaussian, second.gaussian) == ([1.0, 30.0], [1.0, 25.0])
    assert (config.sinc, config.sinc_before_jpeg, config.grey) == (0.8, 0.5, 0.4)
    sides, resize = [], functional.interpolate
    plain = {"blur": None, "gaussian": None, "poisson": 0.0, "jpeg": None, "sinc": 0.0}
    pool = DegradationPool(DegradationConfig(preset="real-esrgan", resizers=["area"], **plain))

    def spy(image, size, **more):
        sides[-1].append((image.shape[2], size[0]))
        return resize(image, size=size, **more)

    monkeypatch.setattr(functional, "interpolate", spy)
    for seed in range(200):
        sides.append([])
        assert pool(torch.rand(3, 400, 400), torch_rng(seed, "pool")).shape == (3, 100, 100)
    # Every resize that is no resize is left out; the last one ends at 100 pixels in any case.
    firsts = [one[0][1] for one in sides if one[0][0] == 400 and len(one) == 3]
    seconds = [one[-1][0] for one in sides if len(one) == 3]
    assert 60 <= min(firsts) < 100 < 500 < max(firsts) <= 600
    assert 30 <= min(seconds) < 40 < 110 < max(seconds) <= 120
    # A tenth and three tenths are kept as they are: 520 resizes expected, standard deviation 8.
    assert 490 <= sum(map(len, sides)) <= 550


@pytest.mark.parametrize("orders", [1, 3])
def test_a_preset_s_orders_can_be_changed(orders):
    config = DegradationConfig(preset="real-esrgan", orders=orders, resize=[0.5, 0.9], shuffle=True)
    assert config.of_order(orders - 1).blur == ([0.2, 3.0] if orders == 1 else [0.2, 1.5])
    assert config.of_order(0).resize == [0.5, 0.9]
    small = DegradationPool(config)(photograph("astronaut", 64), torch_rng(0, "pool"))
    assert small.shape == (3, 16, 16)


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
        ({"orders": 3, "blur": [[1.0, 2.0], [1.0, 2.0]]}, "settings for 2 orders"),
        ({"orders": 2, "resize": [[0.5, 1.0], [1.0, 0.5]]}, "ascending order"),
        ({"poisson_scale": [-1.0, 1.0]}, "from 0 on"),
        ({"resize": [0.5, 1.5], "resize_shares": [0.5, 0.4, 0.2]}, "have the sum 1"),
        ({"resize": [0.5, 0.9], "resize_shares": [0.5, 0.4, 0.1]}, "from below 1 to above 1"),
        ({"shuffle": True, "sinc_before_jpeg": 0.5}, "shuffle to false"),
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


def test_the_estimated_degradation_draws_among_its_blurs():
    image = photograph("astronaut", 64)
    blurs = [GaussianBlur(1, 1), GaussianBlur(4, 4)]
    alone = [EstimatedDegradation(4, [blur])(image, torch_rng(0, "camera")) for blur in blurs]
    both = EstimatedDegradation(4, blurs)
    found = [both(image, torch_rng(seed, "camera")) for seed in range(12)]
    drawn = [[torch.equal(small, one) for one in alone].index(True) for small in found]
    assert set(drawn) == {0, 1}
