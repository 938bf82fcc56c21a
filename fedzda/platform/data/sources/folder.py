"""A folder of images with one sub-folder per class."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from fedzda.base import UserError
from fedzda.platform.data.sources.config import FolderConfig
from fedzda.platform.data.sources.paths import resolve, stamp
from fedzda.platform.data.sources.raw import RawData, RawImage, RawTable, RawTables

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp")
"""Files that count as images."""


def load(config: FolderConfig, base_folder: Path) -> RawData:
    """``<class>/*.png|jpg|…``, or the same under ``train/`` and, if there is one, ``test/``.

    Classes are the sub-folders' names in sorted order, those of train and test together.

    Raises:
        UserError: Nothing at the path, or no sub-folder with an image.
    """
    root = resolve(config.path, base_folder)
    if not root.is_dir():
        raise UserError(
            f"data.path is {root}, a file: it must be a folder with one folder per class."
        )
    has_train = (root / "train").is_dir()
    train = _listing(root / "train" if has_train else root)
    test = _listing(root / "test") if has_train and (root / "test").is_dir() else []
    if not train:
        raise UserError(
            f"data.path is {root}, which holds no <class>/*.png or *.jpg "
            f"(looked for {', '.join(SUFFIXES)}) and no train/ folder that does."
        )

    def read() -> RawTables:
        return RawTables(
            _table(train, "the training folder"),
            _table(test, "the test folder") if test else None,
            size=config.size,
            channels=config.channels,
        )

    files = [stamp(path, str(path.relative_to(root))) for path, _ in (*train, *test)]
    return RawData([str(root.resolve()), *files], read)


def _listing(folder: Path) -> list[tuple[Path, str]]:
    """(file, class name) of every image, sorted, hidden folders left out."""
    found = []
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        if entry.is_dir() and not entry.name.startswith("."):
            names = sorted(name for name in os.listdir(entry) if name.lower().endswith(SUFFIXES))
            found += [(Path(entry.path, name), entry.name) for name in names]
    return found


def _table(listing: list[tuple[Path, str]], where: str) -> RawTable:
    def images() -> Iterator[RawImage]:
        for path, _ in listing:
            yield RawImage(str(path), path)

    return RawTable(images, np.array([name for _, name in listing], dtype=np.str_), where=where)
