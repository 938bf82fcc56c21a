import pytest
import torch
from torch.nn import functional

from fedzda.base import UserError
from fedzda.vision.restoration.imresize import imresize, rounded

RAMP = list(range(8))


@pytest.mark.parametrize(
    ("row", "scale", "expected"),
    [
        (RAMP, 0.5, [0.449219, 2.488281, 4.511719, 6.550781]),
        (RAMP, 0.25, [1.375977, 5.624023]),
        (
            [0, 1, 0, 0],
            2.0,
            [-0.09375, 0.226562, 0.867188, 0.867188, 0.226562, -0.070312, -0.023438, 0.0],
        ),
    ],
)
@pytest.mark.parametrize("down", [False, True])
def test_matlab_golden_values(row, scale, expected, down):
    image = torch.tensor(row, dtype=torch.float64).view(1, 1, 1, -1).repeat(1, 1, 8, 1)
    image = image.transpose(2, 3) if down else image
    result = imresize(image, scale)
    result = result.transpose(2, 3) if down else result
    assert result.shape == (1, 1, int(8 * scale), len(expected))
    expected = torch.tensor(expected, dtype=torch.float64).expand(result.shape)
    torch.testing.assert_close(result, expected, atol=1e-6, rtol=0)


def test_inside_it_is_the_antialiased_bicubic_of_torch_and_borders_differ():
    image = torch.rand(2, 3, 64, 48, generator=torch.Generator().manual_seed(0)).double()
    ours = imresize(image, 0.25)
    theirs = functional.interpolate(image, scale_factor=0.25, mode="bicubic", antialias=True)
    gap = (ours - theirs).abs()
    assert gap[:, :, 3:-3, 3:-3].max() < 1e-6
    assert gap.max() > 1e-3


def test_sizes_are_rounded_up_and_constants_stay():
    image = torch.full((1, 1, 9, 10), 0.3)
    assert imresize(image, 0.25).shape == (1, 1, 3, 3)
    for scale in (0.25, 1 / 3, 1.0, 2.5):
        torch.testing.assert_close(
            imresize(image, scale), torch.full_like(imresize(image, scale), 0.3)
        )


def test_rounded_clips_and_keeps_steps_of_eight_bits():
    result = rounded(torch.tensor([-1.0, 0.5, 100 / 255, 2.0]))
    assert (result * 255).tolist() == pytest.approx([0, 128, 100, 255])


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int64])
def test_whole_numbers_are_refused(dtype):
    with pytest.raises(UserError, match=f"floating point.*got {dtype}"):
        imresize(torch.full((1, 3, 8, 8), 200, dtype=dtype), 0.5)
