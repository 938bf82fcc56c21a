"""Clean counterparts of noisy images, brought to the same form pixel by pixel."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from fedzda.base import UserError
from fedzda.platform.data.images import Standardiser
from fedzda.platform.data.pairs import matched
from fedzda.platform.data.sources.raw import Array, RawTable, RawTables


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
    images = partial(matched, table, table.clean, "clean counterpart")
    for chunk in standard.chunks(images, table.where):
        if chunk.shape[1:] != tuple(shape):
            raise UserError(
                f"the clean images of {table.where} have shape {chunk.shape[1:]} (channels, "
                f"height, width), the noisy ones {tuple(shape)}: set data.channels (1 or 3) to "
                "convert both."
            )
        yield chunk
