"""Images and annotations that lie in files of their own."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fedzda.base import UserError
from fedzda.platform.data.sources.folder import SUFFIXES
from fedzda.platform.data.sources.paths import stamp
from fedzda.platform.data.sources.raw import Array, RawImage, RawTable


class Pair(NamedTuple):
    """One image with its annotation."""

    image: Path
    annotation: Path


def matched(images: Path, annotations: Path) -> list[Pair]:
    """Files of both folders with the same name (whatever their suffix), in order of the names.

    Raises:
        UserError: A folder is missing or empty, or a file has no partner.
    """
    found = [_by_stem(folder) for folder in (images, annotations)]
    for own, others, folder in ((0, 1, annotations), (1, 0, images)):
        alone = sorted(set(found[own]) - set(found[others]))
        if alone:
            raise UserError(
                f"{found[own][alone[0]]} has no partner '{alone[0]}.*' in {folder} ({len(alone)} "
                "such files): every image needs one annotation of the same name."
            )
    return [Pair(found[0][stem], found[1][stem]) for stem in sorted(found[0])]


def _by_stem(folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        raise UserError(f"there is no folder {folder}: set data.path to the folder that holds it.")
    names = sorted(name for name in os.listdir(folder) if name.lower().endswith(SUFFIXES))
    if not names:
        raise UserError(f"{folder} holds no image (looked for {', '.join(SUFFIXES)}).")
    return {Path(name).stem: folder / name for name in names}


def pair_table(
    pairs: list[Pair], where: str, columns: Mapping[str, Array] | None = None
) -> RawTable:
    """A table that reads the files when it is asked to."""

    def images() -> Iterator[RawImage]:
        for pair in pairs:
            yield RawImage(str(pair.image), pair.image)

    def annotations() -> Iterator[RawImage]:
        for pair in pairs:
            yield RawImage(str(pair.annotation), pair.annotation)

    labels = np.zeros(len(pairs), dtype=np.int64)
    return RawTable(images, labels, dict(columns or {}), where, annotations)


def pair_stamps(root: Path, pairs: list[Pair]) -> list[str]:
    """Texts that change when one of the files does."""
    files = [file for pair in pairs for file in pair]
    return [str(root.resolve()), *(stamp(file, str(file.relative_to(root))) for file in files)]
