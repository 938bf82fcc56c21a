"""Images as stored to uint8 arrays of one shape.

Letters in names: N images, C channels, H height, W width.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from fedzda.base import UserError
from fedzda.platform.data.sources.raw import Array, RawImage

if TYPE_CHECKING:
    from PIL import Image

CHUNK_BYTES = 16 * 2**20
"""Decoded pixels held in memory at once, about."""

_GREY = ("1", "L", "LA", "La")
_GREY_16_BIT = ("I;16", "I;16L", "I;16B", "I")
_EXIF_ORIENTATION = 0x0112
_QUARTER_TURNS = (5, 6, 7, 8)


def height_width(size: int | Sequence[int] | None) -> tuple[int, int] | None:
    """``data.size``, an edge or height and width, as both."""
    if size is None or isinstance(size, int):
        return None if size is None else (size, size)
    return size[0], size[1]


class Standardiser:
    """Brings every image of a data set to one size and one number of channels.

    What is left open (``size`` None, ``channels`` "auto") is set by the first image; a later one
    that differs is refused with its name, never bent silently.
    """

    def __init__(self, size: int | Sequence[int] | None, channels: Literal[1, 3, "auto"]) -> None:
        self.size = height_width(size)
        self.channels = channels
        self.shape: tuple[int, ...] | None = None

    def chunks(
        self, images: Array | Callable[[], Iterator[RawImage]], where: str
    ) -> Iterator[Array]:
        """The images in order, as arrays (n, C, H, W) of uint8 in pieces of ``CHUNK_BYTES``.

        Raises:
            UserError: An unreadable image, or one of another size or colour; each by name.
        """
        if isinstance(images, np.ndarray):
            yield from self._from_array(images, where)
            return
        pending: list[Array] = []
        for item in images():
            pending.append(self._standard(_decode(item), item.where))
            if len(pending) * pending[0].nbytes >= CHUNK_BYTES:
                yield np.stack(pending)
                pending = []
        if pending:
            yield np.stack(pending)

    def _from_array(self, images: Array, where: str) -> Iterator[Array]:
        images_NHWC = _channels_last(images, where)
        stored = images_NHWC.shape[-1]
        as_stored = self.size is None and self.channels in ("auto", stored)
        step = max(1, CHUNK_BYTES // max(1, images_NHWC[0].size))
        for start in range(0, len(images_NHWC), step):
            chunk_NHWC = _to_uint8(images_NHWC[start : start + step], where)
            if as_stored:
                chunk_NCHW = chunk_NHWC.transpose(0, 3, 1, 2)
                self._check_shape(chunk_NCHW.shape[1:], where)
                yield np.ascontiguousarray(chunk_NCHW)
            else:
                rows = enumerate(chunk_NHWC, start=start)
                yield np.stack(
                    [self._standard(_picture(image), f"{where} row {row}") for row, image in rows]
                )

    def _standard(self, picture: Image.Image, where: str) -> Array:
        """One picture as (C, H, W)."""
        from PIL import Image

        channels = self.channels
        if channels == "auto":
            channels = 1 if picture.mode in _GREY else 3
        mode = "L" if channels == 1 else "RGB"
        picture = picture if picture.mode == mode else picture.convert(mode)
        if self.size is not None and picture.size != self.size[::-1]:
            picture = picture.resize(self.size[::-1], Image.Resampling.BILINEAR)
        pixels = np.asarray(picture, dtype=np.uint8)
        pixels_CHW = pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)
        self._check_shape(pixels_CHW.shape, where)
        return pixels_CHW

    def _check_shape(self, shape: tuple[int, ...], where: str) -> None:
        if self.shape is None:
            self.shape = shape
        if shape != self.shape:
            raise UserError(
                f"image {where} has shape {shape} (channels, height, width), the first one "
                f"{self.shape}: set data.size to resize all, data.channels (1 or 3) to convert all."
            )


def _decode(item: RawImage) -> Image.Image:
    """A decoded picture; grey of 16 bits is brought to 8, a camera's turn is undone."""
    from PIL import Image, ImageOps

    if isinstance(item.content, np.ndarray):
        return _picture(_to_uint8(item.content, item.where))
    picture = opened(item)
    if picture.mode in _GREY_16_BIT:
        levels = np.asarray(picture)
        if levels.min() < 0 or levels.max() > 65535:
            raise UserError(
                f"image {item.where} holds grey values from {levels.min()} to {levels.max()}: they "
                "must lie in 0 to 65535; store it with 8 or 16 bits."
            )
        return Image.fromarray((levels // 257).astype(np.uint8))
    if picture.mode == "F":
        levels = np.asarray(picture)
        if 1 < levels.max() <= 255 and levels.min() >= 0:
            return Image.fromarray(levels.round().astype(np.uint8))
        return _picture(_to_uint8(levels, item.where))  # Pillow would cut these to 0 and 1 of 255
    if _EXIF_ORIENTATION in picture.getexif():
        return ImageOps.exif_transpose(picture)
    return picture


def opened(item: RawImage, *, load: bool = True) -> Image.Image:
    """A picture as stored; without ``load`` only what its header says.

    Raises:
        UserError: It cannot be read.
    """
    from PIL import Image

    assert not isinstance(item.content, np.ndarray)
    source = item.content if isinstance(item.content, Path) else io.BytesIO(item.content)
    try:
        with Image.open(source) as picture:
            if load:
                picture.load()
            return picture  # its pixels are in memory, only the file is closed
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        reason = (
            "not an image format that Pillow knows" if "cannot identify" in str(error) else error
        )
        raise UserError(
            f"image {item.where} cannot be read ({reason}): repair or remove it."
        ) from error


def pixel_size(item: RawImage) -> tuple[int, int]:
    """Height and width, after undoing a camera's turn; of a file only the header is read."""
    if isinstance(item.content, np.ndarray):
        return item.content.shape[0], item.content.shape[1]
    picture = opened(item, load=False)
    turn = picture.getexif().get(_EXIF_ORIENTATION, 1) if "exif" in picture.info else 1
    width, height = picture.size
    return (width, height) if turn in _QUARTER_TURNS else (height, width)


def _picture(pixels: Array) -> Image.Image:
    from PIL import Image

    return Image.fromarray(pixels[..., 0] if pixels.ndim == 3 and pixels.shape[-1] == 1 else pixels)


def _channels_last(images: Array, where: str) -> Array:
    """(N, H, W), (N, H, W, C) or (N, C, H, W) to (N, H, W, C); if both fit, channels come last."""
    if images.ndim == 3:
        return images[..., None]
    if images.ndim == 4 and images.shape[-1] in (1, 3):
        return images
    if images.ndim == 4 and images.shape[1] in (1, 3):
        return images.transpose(0, 2, 3, 1)
    raise UserError(
        f"the images of {where} have shape {images.shape}: it must be (N, H, W), (N, H, W, C) or "
        "(N, C, H, W) with 1 or 3 channels."
    )


def _to_uint8(pixels: Array, where: str) -> Array:
    """uint8 as it is; floats in [0, 1] times 255, rounded."""
    if pixels.dtype == np.uint8:
        return pixels
    if not np.issubdtype(pixels.dtype, np.floating):
        raise UserError(
            f"the images of {where} are {pixels.dtype}: they must be uint8, or floats in [0, 1]."
        )
    low, high = float(pixels.min(initial=1.0)), float(pixels.max(initial=0.0))
    if not (low >= 0.0 and high <= 1.0):
        raise UserError(
            f"the images of {where} hold values from {low:g} to {high:g}: floats must lie in "
            "[0, 1]; divide them by their largest value, or store them as uint8."
        )
    scaled: Any = np.rint(pixels * 255.0)
    found: Array = scaled.astype(np.uint8)
    return found
