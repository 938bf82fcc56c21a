"""Segmentations beside their photographs, as one picture for the report.

N images, C channels, H height, W width.
"""

from __future__ import annotations

import colorsys
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from fedzda.base import ImageSpec
from fedzda.clients.tasks.base import Batch
from fedzda.platform.data.annotations import VOID

_OVERLAY = 0.6
"""Share of the class's colour in a picture; the rest is the photograph."""
_GOLDEN_RATIO = 0.381966
_BRIGHTNESS = (0.95, 0.7, 0.45)
_HUES = 7
_WIDTH = 200
"""Smallest width of one picture in pixels; smaller ones are enlarged."""
_LINE = 22
_BOX = 14
_CHARACTER = 9
_LETTERS = 15
"""Height of letters in pixels."""


def draw_sheet(
    batch: Batch,
    predictions_NHW: Mapping[str, torch.Tensor],
    image: ImageSpec,
    class_names: list[str],
) -> torch.Tensor:
    """One row per image: photograph, truth, predictions, named above the columns; below, the
    colours of the classes.

    Void pixels of the truth show the photograph.

    Args:
        batch: ``image`` and ``annotation``.
        predictions_NHW: Predicted classes by the name of the model's form; the name of a single
            one is not shown.
        image: How images are normalised.
        class_names: Names of the classes.

    Returns:
        ``(3, height, width)`` in [0, 1].
    """
    images = batch["image"]
    std, mean = (images.new_tensor(v).view(1, -1, 1, 1) for v in (image.std, image.mean))
    photo = (images * std + mean).clamp(0.0, 1.0).expand(-1, 3, -1, -1)
    colours = images.new_tensor(palette(len(class_names)))
    parts = [photo]
    for labels in (batch["annotation"].long(), *predictions_NHW.values()):
        flat = colours[labels.masked_fill(labels == VOID, 0)].permute(0, 3, 1, 2)
        mixed = _OVERLAY * flat + (1 - _OVERLAY) * photo
        parts.append(torch.where((labels == VOID).unsqueeze(1), photo, mixed))
    factor = -(-_WIDTH // photo.shape[3])
    rows = torch.cat(parts, dim=3).repeat_interleave(factor, 2).repeat_interleave(factor, 3)
    picture = torch.cat(list(rows), dim=1).cpu()
    forms = list(predictions_NHW) if len(predictions_NHW) > 1 else ["prediction"]
    heads = _heads(photo.shape[3] * factor, ["photograph", "truth", *forms])
    return torch.cat([heads, picture, _legend(picture.shape[2], class_names)], dim=1)


def palette(num_classes: int) -> list[tuple[float, float, float]]:
    """A colour (red, green, blue in [0, 1]) per class: hues far apart, in three brightnesses."""
    levels = len(_BRIGHTNESS)
    return [
        colorsys.hsv_to_rgb(k * _GOLDEN_RATIO % 1.0, 0.85, _BRIGHTNESS[k // _HUES % levels])
        for k in range(num_classes)
    ]


def _heads(width: int, names: list[str]) -> torch.Tensor:
    """Names above columns of so many pixels, ``(3, height, width)``."""
    from PIL import Image, ImageDraw, ImageFont

    font = ImageFont.load_default(_LETTERS)
    band = Image.new("RGB", (width * len(names), _LINE + 4), "white")
    draw = ImageDraw.Draw(band)
    for number, name in enumerate(names):
        draw.text((number * width + 4, 3), name, fill="black", font=font)
    return _as_tensor(band)


def _as_tensor(picture: Any) -> torch.Tensor:
    return torch.from_numpy(np.array(picture)).permute(2, 0, 1).float() / 255


def _legend(width: int, class_names: list[str]) -> torch.Tensor:
    """Boxes of colour with names, as many lines as they need, ``(3, height, width)``."""
    from PIL import Image, ImageDraw, ImageFont

    font = ImageFont.load_default(_LETTERS)
    cell = min(width, _BOX + 14 + _CHARACTER * max(map(len, class_names)))
    columns = max(1, width // cell)
    lines = -(-len(class_names) // columns)
    picture = Image.new("RGB", (width, _LINE * lines + 4), "white")
    draw = ImageDraw.Draw(picture)
    for number, (name, colour) in enumerate(
        zip(class_names, palette(len(class_names)), strict=True)
    ):
        left, top = number % columns * cell + 4, number // columns * _LINE + 4
        fill = tuple(round(255 * part) for part in colour)
        draw.rectangle((left, top, left + _BOX, top + _BOX), fill=fill)
        draw.text((left + _BOX + 6, top - 2), name, fill="black", font=font)
    return _as_tensor(picture)
