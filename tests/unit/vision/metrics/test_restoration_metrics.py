import math

import numpy as np
import pytest
import torch
from scipy import ndimage, special
from scipy.signal import convolve2d
from skimage import data as photographs
from skimage import metrics as oracle

from fedzda.base import UserError
from fedzda.vision.metrics.colour import grey, luma
from fedzda.vision.metrics.gmsd import gmsd
from fedzda.vision.metrics.haarpsi import haarpsi
from fedzda.vision.metrics.niqe import FEATURES, NiqeRefit
from fedzda.vision.metrics.piqe import piqe
from fedzda.vision.metrics.psnr import mean_squared_error, psnr
from fedzda.vision.metrics.ssim import ssim
from fedzda.vision.restoration.imresize import imresize


def photograph(name="astronaut", side=160):
    pixels = torch.tensor(getattr(photographs, name)()).permute(2, 0, 1).unsqueeze(0).double() / 255
    return imresize(pixels, 0.5).clamp(0, 1)[:, :, :side, :side]


@pytest.fixture
def pair():
    truth = photograph()
    noise = torch.randn(truth.shape, generator=torch.Generator().manual_seed(1)).double()
    return (truth + 0.05 * noise).clamp(0, 1), truth


def numpy(image):
    return image[0].permute(1, 2, 0).numpy()


@pytest.mark.parametrize("border", [0, 4])
def test_psnr_and_ssim_equal_those_of_scikit_image(pair, border):
    image, truth = pair
    inner = slice(border, truth.shape[2] - border)
    arrays = [numpy(side)[inner, inner] for side in pair]
    expected = oracle.structural_similarity(
        *arrays,
        data_range=1.0,
        channel_axis=2,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
    )
    assert ssim(image, truth, border).item() == pytest.approx(expected, abs=1e-10)
    expected = oracle.peak_signal_noise_ratio(arrays[1], arrays[0], data_range=1.0)
    assert psnr(image, truth, border).item() == pytest.approx(expected, abs=1e-10)


def test_mean_of_psnr_is_at_least_psnr_of_the_mean_error():
    truth = torch.zeros(2, 1, 4, 4)
    images = torch.stack([torch.full((1, 4, 4), 0.1), torch.full((1, 4, 4), 0.5)])
    error = mean_squared_error(images, truth)
    assert error.tolist() == pytest.approx([0.01, 0.25])
    assert psnr(images, truth).mean() > -10 * math.log10(error.mean()) + 1


@pytest.mark.parametrize(("metric", "best"), [(ssim, 1), (gmsd, 0), (haarpsi, 1), (psnr, math.inf)])
def test_equal_images_are_best_and_more_noise_is_worse(pair, metric, best):
    image, truth = pair
    assert metric(truth, truth).item() == pytest.approx(best, abs=1e-9)
    worse = (truth + 3 * (image - truth)).clamp(0, 1)
    values = [metric(side, truth).item() for side in (image, worse)]
    assert abs(values[0] - min(best, 99)) < abs(values[1] - min(best, 99))
    both = metric(torch.cat([image, worse]), torch.cat([truth, truth]))
    assert both.tolist() == pytest.approx(values)


def test_gmsd_by_hand(pair):
    def gradients(image):
        mean = image.reshape(80, 2, 80, 2).mean(axis=(1, 3))
        edge = np.pad(mean, 1)
        across = sum(edge[i : i + 80, :-2] - edge[i : i + 80, 2:] for i in range(3)) / 3
        down = sum(edge[:-2, i : i + 80] - edge[2:, i : i + 80] for i in range(3)) / 3
        return np.hypot(across, down)

    x, y = (gradients(255 * grey(side)[0, 0].numpy()) for side in pair)
    expected = np.std((2 * x * y + 170) / (x**2 + y**2 + 170), ddof=1)
    assert gmsd(*pair).item() == pytest.approx(expected, abs=1e-9)


def haarpsi_by_hand(pair, colour):
    """Numpy, from the paper; images (1, 3, 160, 160)."""

    def same(image, kernel):
        start = len(kernel) // 2
        return np.abs(convolve2d(image, kernel)[start : start + 80, start : start + 80])

    def coefficients(image, level, turn):
        kernel = np.ones((2**level, 2**level)) / 2**level
        kernel[: 2 ** (level - 1)] *= -1
        return same(image, kernel.T if turn else kernel)

    def likeness(a, b):
        return (2 * a * b + 30) / (a**2 + b**2 + 30)

    def plane(side, *shares):
        image = 255 * numpy(side) @ np.array(shares)
        return image.reshape(80, 2, 80, 2).mean(axis=(1, 3))

    x, y = (plane(side, 0.299, 0.587, 0.114) for side in pair)
    local, weight = [], []
    for turn in (False, True):
        a, b = ([coefficients(s, level, turn) for level in (1, 2, 3)] for s in (x, y))
        local.append((likeness(a[0], b[0]) + likeness(a[1], b[1])) / 2)
        weight.append(np.maximum(a[2], b[2]))
    if colour:
        mean = np.full((2, 2), 0.25)
        i = [same(plane(side, 0.596, -0.274, -0.322), mean) for side in pair]
        q = [same(plane(side, 0.211, -0.523, 0.312), mean) for side in pair]
        local.append((likeness(*i) + likeness(*q)) / 2)
        weight.append((weight[0] + weight[1]) / 2)
    share = sum((w / (1 + np.exp(-4.2 * s))).sum() for s, w in zip(local, weight, strict=True))
    share /= sum(w.sum() for w in weight)
    return (np.log(share / (1 - share)) / 4.2) ** 2


def test_haarpsi_by_hand(pair):
    expected = haarpsi_by_hand(pair, colour=False)
    assert haarpsi(*(grey(s) for s in pair)).item() == pytest.approx(expected, abs=1e-9)
    coloured = haarpsi_by_hand(pair, colour=True)
    assert abs(coloured - expected) > 1e-3
    assert haarpsi(*pair).item() == pytest.approx(coloured, abs=1e-9)


@pytest.mark.parametrize("channels", [1, 3])
def test_black_images_are_alike(channels):
    black = torch.zeros(1, channels, 32, 32, requires_grad=True)
    images = torch.cat([black, black + 0.2])
    found = haarpsi(images, torch.zeros(2, channels, 32, 32))
    assert found[0].item() == pytest.approx(1, abs=1e-12)
    assert 0 < found[1] < 0.5
    found.sum().backward()
    assert black.grad.isfinite().all()


def test_piqe_is_low_for_a_photograph_and_high_for_noise_and_flat(pair):
    image, truth = pair
    noisy = (truth + 4 * (image - truth)).clamp(0, 1)
    clean, bad, flat = (piqe(i).item() for i in (truth, noisy, torch.full_like(truth, 0.5)))
    assert 0 < clean < bad - 10
    assert bad <= 100
    assert flat == 100


def test_piqe_counts_flat_pieces_of_edges():
    side = torch.arange(16)
    block = ((side.view(-1, 1) // 8 + side // 8) % 2).double()  # 8x8 checks: flat along the edges
    image = block.repeat(4, 4).view(1, 1, 64, 64)
    assert piqe(image).item() > 40


def test_piqe_takes_images_of_any_size():
    assert 0 < piqe(photograph()[:, :, :41, :5]).item() <= 100


def test_niqe_refit_is_lower_for_a_photograph_than_for_noise_or_blur():
    names = ("coffee", "chelsea")
    model = NiqeRefit(block=32, sharpness=0.2)
    used = model.fit(photograph(name, side=300)[0] for name in names)
    assert used > FEATURES
    image = photograph()[0]
    noise = torch.randn(image.shape, generator=torch.Generator().manual_seed(0)).double()
    noisy = (image + 0.2 * noise).clamp(0, 1)
    blurred = imresize(imresize(image.unsqueeze(0), 0.25), 4.0)[0].clamp(0, 1)
    scores = [model.score(i) for i in (image, noisy, blurred)]
    assert scores[0] < min(scores[1:])
    other = NiqeRefit(block=32)
    other.load_state(model.state())
    assert other.score(image) == scores[0]


def niqe_features_by_hand(image, side, sharpness):
    """Numpy, from the paper: features (blocks, 36) of the sharp blocks of an image (3, H, W)."""
    place = np.arange(7) - 3.0
    window = np.exp(-(place**2) / (2 * (7 / 6) ** 2))
    window = np.outer(window, window) / window.sum() ** 2
    shapes = np.arange(0.2, 10.001, 0.001)
    ratios = special.gamma(2 / shapes) ** 2 / special.gamma(1 / shapes) / special.gamma(3 / shapes)

    def normalised(shades):
        mean = ndimage.correlate(shades, window, mode="nearest")
        square = ndimage.correlate(shades**2, window, mode="nearest")
        deviation = np.sqrt(np.abs(square - mean**2))
        return (shades - mean) / (deviation + 1), deviation

    def blocks(plane, side):
        rows = range(0, plane.shape[0], side)
        return [plane[y : y + side, x : x + side] for y in rows for x in range(0, len(plane), side)]

    def gaussian(values):
        left, right = (
            np.sqrt(np.mean(part**2)) for part in (values[values < 0], values[values > 0])
        )
        g = left / right
        found = np.mean(np.abs(values)) ** 2 / np.mean(values**2)
        found *= (g**3 + 1) * (g + 1) / (g**2 + 1) ** 2
        shape = shapes[np.argmin((ratios - found) ** 2)]
        width = np.sqrt(special.gamma(1 / shape) / special.gamma(3 / shape))
        return shape, left * width, right * width

    def features(block):
        shape, left, right = gaussian(block)
        found = [shape, (left + right) / 2]
        for shift in ((0, 1), (1, 0), (1, 1), (1, -1)):
            shape, left, right = gaussian(block * np.roll(block, shift, axis=(0, 1)))
            mean = (right - left) * special.gamma(2 / shape) / special.gamma(1 / shape)
            found += [shape, mean, left, right]
        return found

    shades = np.round(255 * (image.permute(1, 2, 0).numpy() @ np.array([0.299, 0.587, 0.114])))
    plane, deviation = normalised(shades)
    half = normalised(imresize(torch.tensor(shades)[None, None], 0.5)[0, 0].numpy())[0]
    sharp = np.array([block.mean() for block in blocks(deviation, side)])
    pairs = zip(blocks(plane, side), blocks(half, side // 2), strict=True)
    found = np.array([features(first) + features(second) for first, second in pairs])
    return found[sharp > sharpness * sharp.max()]


def test_niqe_refit_by_hand():
    image = photograph()[0]
    model = NiqeRefit(block=16, sharpness=0.3)
    expected = niqe_features_by_hand(image, 16, 0.3)
    assert model.fit([image]) == len(expected)
    assert FEATURES < len(expected) < 100
    state = model.state()
    np.testing.assert_allclose(state["mean"].numpy(), expected.mean(0), atol=1e-6)
    np.testing.assert_allclose(state["covariance"].numpy(), np.cov(expected.T), atol=1e-6)


def test_niqe_refit_says_what_it_needs():
    model = NiqeRefit()
    with pytest.raises(UserError, match="needs a fit"):
        model.score(torch.rand(3, 96, 96))
    with pytest.raises(UserError, match="more than 36 sharp blocks"):
        model.fit([torch.rand(3, 96, 96)])
    with pytest.raises(UserError, match="96 pixels on each side"):
        model.fit([torch.rand(3, 95, 96)])
    with pytest.raises(UserError, match="even side"):
        NiqeRefit(block=33)


def test_luma_is_that_of_studio_video():
    ends = torch.tensor([0.0, 1.0]).view(2, 1, 1, 1).expand(2, 3, 12, 12)
    assert (luma(ends)[:, 0, 0, 0] * 255).tolist() == pytest.approx([16, 235])
    torch.testing.assert_close(luma(ends), luma(ends[:, :1]))
    assert grey(ends)[:, 0, 0, 0].tolist() == pytest.approx([0, 1])


@pytest.mark.parametrize("metric", [psnr, ssim, gmsd, haarpsi])
def test_unequal_shapes_are_refused(metric):
    with pytest.raises(UserError, match="one shape"):
        metric(torch.rand(1, 3, 20, 20), torch.rand(1, 3, 20, 21))
    with pytest.raises(UserError, match="on each side"):
        metric(torch.rand(1, 3, 0, 3), torch.rand(1, 3, 0, 3))


def test_colour_needs_one_or_three_channels():
    with pytest.raises(UserError, match="1 or 3 channels"):
        gmsd(torch.rand(1, 4, 20, 20), torch.rand(1, 4, 20, 20))


@pytest.mark.parametrize("metric", [psnr, ssim, gmsd, haarpsi, lambda image, _: piqe(image)])
def test_whole_numbers_and_pixels_of_another_range_are_refused(pair, metric):
    def judged(*sides):
        return metric(*(side.expand(2, 3, 160, 160) for side in sides))

    image, truth = pair
    for wrong in ((255 * image).byte(), (255 * image).long()):
        with pytest.raises(UserError, match=f"floating point.*got {wrong.dtype}.*Divide by 255"):
            judged(wrong, wrong)
    for wrong in (255 * image, -255 * image):
        with pytest.raises(UserError, match=r"in \[0, 1\] \(got .* to .*Divide"):
            judged(wrong, wrong)
    assert judged(3 * image - 1, truth).isfinite().all()  # overshoot, or noise that is not clipped
    assert judged(image.float(), truth.float()).isfinite().all()


def test_both_sides_of_a_pair_are_looked_at(pair):
    image, truth = pair
    for wrong in ((255 * truth).byte(), 255 * truth):
        for sides in ((image, wrong), (wrong, truth)):
            with pytest.raises(UserError, match="Divide by"):
                psnr(*sides)
    assert psnr(image * math.nan, truth).isnan().all()  # of a run that diverged
    assert psnr(image[:0], truth[:0]).shape == (0,)


def test_reference_free_metrics_and_grey_values_refuse_other_ranges(pair):
    image = pair[0][0]
    model = NiqeRefit(block=16, sharpness=0.3)
    with pytest.raises(UserError, match="Divide by 255"):
        model.fit([(255 * image).byte()])
    model.fit([image])
    for wrong in ((255 * image).byte(), 255 * image):
        with pytest.raises(UserError, match="Divide by"):
            model.score(wrong)
    for shade in (grey, luma):
        with pytest.raises(UserError, match="floating point"):
            shade((255 * pair[0]).byte())
