import numpy as np
import pytest
import torch
from PIL import Image

from fedzda.generators.sheet import save_sheet


@pytest.mark.parametrize("channels", [1, 3])
def test_sheet_has_a_row_per_class_and_exact_pixels(channels, tmp_path):
    images = torch.zeros(3, channels, 48, 48)
    images[1] = 1.0
    images[2] = 0.2
    path = tmp_path / "sheet.png"
    save_sheet(images, torch.tensor([4, 1, 4]), path, columns=2)
    sheet = np.asarray(Image.open(path))
    assert sheet.shape == ((99, 99) if channels == 1 else (99, 99, 3))
    first_of_1, second_of_1, first_of_4, second_of_4 = (
        sheet[row, column].max() for row in (25, 74) for column in (25, 74)
    )
    assert (first_of_1, second_of_1, first_of_4, second_of_4) == (255, 255, 0, 51)


def test_a_sheet_is_no_wider_than_its_longest_row(tmp_path):
    path = tmp_path / "sheet.png"
    save_sheet(torch.zeros(3, 1, 48, 48), torch.tensor([4, 1, 4]), path, columns=10)
    assert Image.open(path).size == (99, 99)
