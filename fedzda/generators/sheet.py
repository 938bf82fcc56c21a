"""A picture of sampled images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image

_GAP = 1
_LEGIBLE = 48


def save_sheet(images: torch.Tensor, labels: torch.Tensor, path: Path, columns: int = 10) -> None:
    """Write a PNG with one row per class, in order of the labels, and up to ``columns`` images.

    Args:
        images: ``(N, C, H, W)`` in [0, 1], one or three channels; others show the first.
        labels: ``(N,)``.
        path: The file to write.
        columns: Images per row at most; where a class has fewer than another, it stays white.
    """
    if images.shape[1] not in (1, 3):
        images = images[:, :1]
    channels, height, width = images.shape[1:]
    classes, counts = torch.unique(labels, return_counts=True)
    columns = min(columns, int(counts.max()))
    scale = max(1, _LEGIBLE // height)
    sheet = np.full(
        (len(classes) * (height + _GAP) + _GAP, columns * (width + _GAP) + _GAP, channels),
        255,
        np.uint8,
    )
    pixels = (images.detach().cpu().clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1).numpy()
    for row, label in enumerate(classes):
        top = _GAP + row * (height + _GAP)
        for column, index in enumerate((labels == label).nonzero()[:columns, 0].tolist()):
            left = _GAP + column * (width + _GAP)
            sheet[top : top + height, left : left + width] = pixels[index]
    picture = Image.fromarray(sheet[:, :, 0] if channels == 1 else sheet)
    size = (picture.width * scale, picture.height * scale)
    picture.resize(size, Image.Resampling.NEAREST).save(path)
