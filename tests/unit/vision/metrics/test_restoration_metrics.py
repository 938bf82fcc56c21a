import math

import numpy as np
import pytest
import torch
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


def test_haarpsi_of_grey_images_by_hand(pair):
    from scipy.signal import convolve2d

    def coefficients(image, level, turn):
        kernel = np.ones((2**level, 2**level)) / 2**level
        kernel[: 2 ** (level - 1)] *= -1
        kernel = kernel.T if turn else kernel
        full = convolve2d(image, kernel, mode="full")
        start = 2 ** (level - 1)
        return np.abs(full[start : start + 80, start : start + 80])

    def likeness(a, b):
        return (2 * a * b + 30) / (a**2 + b**2 + 30)

    sides = [255 * grey(s)[0, 0].numpy() for s in pair]
    x, y = (s.reshape(80, 2, 80, 2).mean(axis=(1, 3)) for s in sides)
    top = bottom = 0.0
    for turn in (False, True):
        a, b = ([coefficients(s, level, turn) for level in (1, 2, 3)] for s in (x, y))
        local = (likeness(a[0], b[0]) + likeness(a[1], b[1])) / 2
        weight = np.maximum(a[2], b[2])
        top += (weight / (1 + np.exp(-4.2 * local))).sum()
        bottom += weight.sum()
    share = top / bottom
    expected = (np.log(share / (1 - share)) / 4.2) ** 2
    assert haarpsi(*(grey(s) for s in pair)).item() == pytest.approx(expected, abs=1e-9)


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
