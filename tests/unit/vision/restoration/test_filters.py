import cv2
import numpy as np
import pytest
import torch

from fedzda.vision.restoration.filters import bilateral_filter, gaussian_filter


def image(height=20, width=24):
    rng = np.random.default_rng(0)
    return rng.random((height, width, 3), dtype=np.float32)


def tensor(pixels):
    return torch.from_numpy(pixels).permute(2, 0, 1).unsqueeze(0)


def test_gaussian_is_that_of_opencv():
    pixels = image()
    expected = cv2.GaussianBlur(pixels, (7, 7), 1.0, borderType=cv2.BORDER_REPLICATE)
    np.testing.assert_allclose(
        gaussian_filter(tensor(pixels), 1.0)[0].permute(1, 2, 0), expected, atol=1e-5
    )


def test_bilateral_of_a_grey_image_is_that_of_opencv():
    """OpenCV leaves out the corners of the square, whose weight is below exp(-2)."""
    grey = image()[:, :, 0]
    expected = cv2.bilateralFilter(grey, 5, 0.3, 1.0, borderType=cv2.BORDER_REPLICATE)
    found = bilateral_filter(torch.from_numpy(grey)[None, None], 1.0, 0.3)[0, 0]
    assert float((found - torch.from_numpy(expected)).abs().mean()) < 0.02


def test_edges_stay_where_colours_are_far_apart():
    step = torch.zeros(1, 1, 8, 8)
    step[..., 4:] = 1
    assert torch.allclose(bilateral_filter(step, 2.0, 0.05), step, atol=1e-6)
    wide = bilateral_filter(step, 2.0, 100.0)
    assert float(wide[0, 0, 4, 3]) == pytest.approx(0.40, abs=0.1)


def test_flat_images_do_not_change():
    flat = torch.full((2, 3, 9, 9), 0.3)
    for found in (gaussian_filter(flat, 0.7), bilateral_filter(flat, 1.5, 0.1)):
        torch.testing.assert_close(found, flat)
