"""Bayer mosaics: packing, bringing to one pattern, augmentation that keeps the pattern.

After Liu, Wu, Wang et al., *Learning Raw Image Denoising With Bayer Pattern Unification and Bayer
Preserving Augmentation*, CVPRW 2019, arXiv 1904.12945. A pattern is written row by row: ``rggb``.
Flipping packed planes would shift the colours by half a mosaic; here the mosaic itself is flipped
and brought back to its pattern by leaving out a row or a column.

N images, H height, W width; mosaics are ``(N, 1, H, W)`` with even sides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch.nn import functional

from fedzda.base import UserError

PATTERNS = ("rggb", "bggr", "grbg", "gbrg")


def pack(mosaics_N1HW: torch.Tensor) -> torch.Tensor:
    """``(N, 4, H / 2, W / 2)``: the planes of the pattern's four places, row by row.

    Raises:
        UserError: Not one channel, or an odd side.
    """
    _check(mosaics_N1HW, one_channel=True)
    return functional.pixel_unshuffle(mosaics_N1HW, 2)


def unpack(planes_N4HW: torch.Tensor) -> torch.Tensor:
    """``(N, 1, 2 H, 2 W)``; undoes :func:`pack`."""
    return functional.pixel_shuffle(planes_N4HW, 2)


def turned(pattern: str, vertical: bool, horizontal: bool, transpose: bool) -> str:
    """The pattern of a mosaic after flips (up-down, left-right) and then a transposition."""
    a, b, c, d = list(pattern)
    if vertical:
        a, b, c, d = c, d, a, b
    if horizontal:
        a, b, c, d = b, a, d, c
    if transpose:
        b, c = c, b
    return a + b + c + d


@dataclass(frozen=True)
class Unified:
    """A mosaic brought to another pattern.

    Attributes:
        mosaics: ``(N, 1, H', W')`` in the wanted pattern.
        rows: Rows added (padding) or removed (cropping) at each end: 0 or 1.
        columns: The same for columns.
        pad: Whether they were added.
    """

    mosaics: torch.Tensor
    rows: int
    columns: int
    pad: bool

    def undo(self, restored_N1HW: torch.Tensor) -> torch.Tensor:
        """A restored mosaic without what padding added, in the old pattern and size."""
        if not self.pad:
            raise UserError(
                "bayer: what cropping removed cannot be put back. Unify with pad=True for testing."
            )
        height, width = restored_N1HW.shape[2:]
        rows, columns = (
            slice(self.rows, height - self.rows),
            slice(self.columns, width - self.columns),
        )
        return restored_N1HW[:, :, rows, columns]


def unify(mosaics_N1HW: torch.Tensor, pattern: str, target: str, pad: bool) -> Unified:
    """Bring mosaics of one pattern to another one.

    Args:
        mosaics_N1HW: The mosaics, with a noise level map as second channel if there is one.
        pattern: Theirs.
        target: The wanted one.
        pad: Reflect a row or column at both ends, for testing (:meth:`Unified.undo` removes it
            again); otherwise cut one off at both ends, for training, where made-up pixels would
            be learned.

    Raises:
        UserError: An unknown pattern or an odd side.
    """
    _check(mosaics_N1HW)
    rows, columns = offset(pattern, target)
    if pad:
        edges = (columns, columns, rows, rows)
        return Unified(functional.pad(mosaics_N1HW, edges, mode="reflect"), rows, columns, True)
    height, width = mosaics_N1HW.shape[2:]
    inner = mosaics_N1HW[:, :, rows : height - rows, columns : width - columns]
    return Unified(inner, rows, columns, False)


def offset(pattern: str, target: str) -> tuple[int, int]:
    """Rows and columns (0 or 1 each) after which ``target`` begins in a mosaic of ``pattern``.

    Raises:
        UserError: An unknown pattern.
    """
    for name in (pattern, target):
        if name not in PATTERNS:
            raise UserError(f"bayer pattern: choose one of {', '.join(PATTERNS)} (got '{name}').")
    for rows in (0, 1):
        for columns in (0, 1):
            if turned(pattern, bool(rows), bool(columns), False) == target:
                return rows, columns
    raise AssertionError("the four patterns are shifts of one another")


def augment(mosaics_N1HW: torch.Tensor, pattern: str, rng: torch.Generator) -> torch.Tensor:
    """Random flips and transposition of all mosaics alike, in the pattern that they had.

    Sides may come out two pixels shorter, and swapped. Give noisy and clean mosaics of a scene in
    one batch, so that both are turned in the same way.
    """
    flips = [bool(bit) for bit in torch.randint(2, (3,), generator=rng)]
    turned_mosaics = turn(mosaics_N1HW, flips)
    return unify(turned_mosaics, turned(pattern, *flips), pattern, pad=False).mosaics


def turn(images_NCHW: torch.Tensor, flips: Sequence[bool]) -> torch.Tensor:
    """Images flipped up-down, left-right and then transposed, each where ``flips`` says so."""
    vertical, horizontal, transpose = flips
    dims = [dim for dim, wanted in ((2, vertical), (3, horizontal)) if wanted]
    images_NCHW = images_NCHW.flip(dims)
    return images_NCHW.transpose(2, 3) if transpose else images_NCHW


def turn_back(images_NCHW: torch.Tensor, flips: Sequence[bool]) -> torch.Tensor:
    """Undoes :func:`turn`."""
    images_NCHW = images_NCHW.transpose(2, 3) if flips[2] else images_NCHW
    return turn(images_NCHW, (flips[0], flips[1], False))


def _check(mosaics_N1HW: torch.Tensor, one_channel: bool = False) -> None:
    channels, height, width = mosaics_N1HW.shape[1:]
    if (one_channel and channels != 1) or height % 2 or width % 2:
        raise UserError(
            f"bayer: a mosaic has one channel and an even height and width (got {channels} of "
            f"{height}x{width}). Cut off an odd row or column."
        )
