"""What goes with every image, pixel by pixel: its annotation, or what it would be without noise."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from fedzda.base import UserError
from fedzda.platform.data.images import pixel_size
from fedzda.platform.data.sources.raw import Array, RawImage, RawTable

Given = Array | Callable[[], Iterator[RawImage]] | None
"""As in :class:`RawTable`: an array, or a function that yields one by one."""


def counterparts(given: Given, where: str) -> Iterator[RawImage]:
    """Every counterpart; rows of an array are named after ``where``, their table."""
    assert given is not None
    if callable(given):
        yield from given()
    else:
        for row, pixels in enumerate(given):
            yield RawImage(f"{where} row {row}", pixels)


def matched(table: RawTable, given: Given, word: str) -> Iterator[RawImage]:
    """The counterparts of a table's images, each after a look at its size.

    Args:
        table: The images.
        given: Their counterparts.
        word: What errors call one.

    Raises:
        UserError: One has another size than its image.
    """
    for (image, size), item in zip(_sizes(table), counterparts(given, table.where), strict=True):
        own = pixel_size(item)
        if own != size:
            raise UserError(
                f"image {image} has {size[0]}x{size[1]} pixels (height x width) and its {word} "
                f"{item.where} {own[0]}x{own[1]}: both must have one size."
            )
        yield item


def _sizes(table: RawTable) -> Iterator[tuple[str, tuple[int, int]]]:
    """Name and (height, width) of every image as stored."""
    if callable(table.images):
        for item in table.images():
            yield item.where, pixel_size(item)
    else:
        channels_first = table.images.ndim == 4 and table.images.shape[-1] not in (1, 3)
        first = 2 if channels_first else 1
        height, width = table.images.shape[first : first + 2]
        for row in range(len(table.images)):
            yield f"{table.where} row {row}", (height, width)
