"""Clean counterparts of noisy images, brought to the same form pixel by pixel."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from fedzda.base import UserError
from fedzda.platform.data.annotations import stored_sizes
from fedzda.platform.data.images import Standardiser, pixel_size
from fedzda.platform.data.sources.raw import Array, RawImage, RawTable, RawTables


def clean_chunks(table: RawTable, tables: RawTables, shape: Sequence[int]) -> Iterator[Array]:
    """The clean counterparts of a table's images in order, as uint8 (n, C, H, W) in pieces.

    Args:
        table: One split.
        tables: Size and number of channels of all images.
        shape: (C, H, W) of the images.

    Raises:
        UserError: A counterpart cannot be read, or has another size or other channels than its
            image.
    """
    standard = Standardiser(tables.size, tables.channels)
    for chunk in standard.chunks(partial(_matched, table), table.where):
        if chunk.shape[1:] != tuple(shape):
            raise UserError(
                f"the clean images of {table.where} have shape {chunk.shape[1:]} (channels, "
                f"height, width), the noisy ones {tuple(shape)}: set data.channels (1 or 3) to "
                "convert both."
            )
        yield chunk


def _matched(table: RawTable) -> Iterator[RawImage]:
    """Every counterpart, after a look at its size."""
    for (image, size), item in zip(stored_sizes(table), _items(table), strict=True):
        own = pixel_size(item)
        if own != size:
            raise UserError(
                f"image {image} has {size[0]}x{size[1]} pixels (height x width) and its clean "
                f"counterpart {item.where} {own[0]}x{own[1]}: both must have one size."
            )
        yield item


def _items(table: RawTable) -> Iterator[RawImage]:
    found = table.clean
    assert found is not None
    if callable(found):
        yield from found()
    else:
        for row, pixels in enumerate(found):
            yield RawImage(f"{table.where} row {row}", pixels)
