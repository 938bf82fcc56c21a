"""Images in files: PNG, JPEG, BMP and TIFF.

H height, W width; pixels in [0, 1].
"""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import torch

from fedzda.base import UserError

_SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff"}
_WHITE = {np.dtype(np.uint8): 255.0, np.dtype(np.uint16): 65535.0}


def images_in(folder: Path) -> list[Path]:
    """The images of a folder, by name.

    Raises:
        UserError: There is no such folder, or no image in it, or two of one name.
    """
    if not folder.is_dir():
        raise UserError(f"there is no folder '{folder}'. Give one that holds images.")
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() in _SUFFIXES)
    if not found:
        raise UserError(
            f"folder '{folder}' has no images ({', '.join(sorted(_SUFFIXES))}). Give one that does."
        )
    for one, other in pairwise(found):
        if one.stem == other.stem:
            raise UserError(f"'{one}' and '{other.name}' have one name. Remove one of them.")
    return found


def read_image(path: Path) -> torch.Tensor:
    """``(1, H, W)`` grey or ``(3, H, W)`` colours, float32 in [0, 1]; transparency is left out.

    Raises:
        UserError: There is no such file, or it cannot be read.
    """
    from PIL import Image

    if not path.is_file():
        raise UserError(f"there is no file '{path}'.")
    try:
        with Image.open(path) as picture:
            grey = picture.mode in ("L", "I;16", "I;16B", "I;16L", "1")
            plain = picture.convert("L") if picture.mode == "1" else picture
            pixels = np.array(plain if grey else picture.convert("RGB"))
    except (OSError, SyntaxError, ValueError) as error:
        raise UserError(f"{path} is no image, or a damaged one ({error}).") from error
    pixels = pixels.astype(pixels.dtype.newbyteorder("="))
    levels = torch.from_numpy(pixels / np.float32(_WHITE[pixels.dtype])).float()
    return levels.unsqueeze(0) if grey else levels.permute(2, 0, 1)
