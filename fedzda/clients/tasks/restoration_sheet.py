"""Images before and after, as one picture for the report."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

_WIDTH = 160
"""About the width of one image in a picture: smaller ones are enlarged by a whole factor, of larger
ones the middle is shown."""
_GAP = 2
_TITLE = 18
_LETTERS = 14
"""Height of letters in pixels."""


def draw_rows(rows: Sequence[tuple[str, Sequence[torch.Tensor]]]) -> torch.Tensor:
    """A titled row of images for each entry.

    Args:
        rows: Title and images ``(1, C, H, W)`` in [0, 1], all of one size, equally many in each.

    Returns:
        ``(3, height, width)`` in [0, 1].
    """
    from PIL import Image, ImageDraw, ImageFont

    font = ImageFont.load_default(_LETTERS)

    strips = []
    for title, images in rows:
        cells = [torch.nn.functional.pad(_cell(image), (_GAP,) * 4, value=1.0) for image in images]
        strip = torch.cat(cells, dim=2)
        band = Image.new("RGB", (strip.shape[2], _TITLE), "white")
        ImageDraw.Draw(band).text((_GAP, 1), title, fill="black", font=font)
        strips += [torch.from_numpy(np.array(band)).permute(2, 0, 1).float() / 255, strip]
    return torch.cat(strips, dim=1)


def _cell(image_1CHW: torch.Tensor) -> torch.Tensor:
    height, width = image_1CHW.shape[2:]
    tall, wide = min(height, _WIDTH), min(width, _WIDTH)
    top, left = (height - tall) // 2, (width - wide) // 2
    cut = image_1CHW[0, :, top : top + tall, left : left + wide].cpu().clamp(0, 1)
    factor = max(1, _WIDTH // max(tall, wide))
    return cut.expand(3, -1, -1).repeat_interleave(factor, 1).repeat_interleave(factor, 2)
