"""Cityscapes with fine annotations: the 19 classes that its benchmark evaluates.

The numbers of classes and their order are those of ``labels.py`` in mcordts/cityscapesScripts.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fedzda.base import UserError
from fedzda.platform.data.sources.config import CityscapesConfig
from fedzda.platform.data.sources.pairs import Pair, pair_stamps, pair_table
from fedzda.platform.data.sources.paths import resolve
from fedzda.platform.data.sources.raw import Annotations, RawData, RawTable, RawTables

CLASSES = {
    "road": 7,
    "sidewalk": 8,
    "building": 11,
    "wall": 12,
    "fence": 13,
    "pole": 17,
    "traffic light": 19,
    "traffic sign": 20,
    "vegetation": 21,
    "terrain": 22,
    "sky": 23,
    "person": 24,
    "rider": 25,
    "car": 26,
    "truck": 27,
    "bus": 28,
    "train": 31,
    "motorcycle": 32,
    "bicycle": 33,
}
"""Name and number in ``*_labelIds.png`` of every evaluated class, in the order of train ids."""

_LARGEST = 33
_NO_NUMBER = 255  # licence plates: -1 in a byte
_IMAGE, _ANNOTATION = "_leftImg8bit.png", "_gtFine_labelIds.png"


def load(config: CityscapesConfig, base_folder: Path) -> RawData:
    """``train`` is the pool and ``val`` the global test set; the folders of cities give ``city``.

    Raises:
        UserError: Nothing at the path, no image there, an image without annotation.
    """
    root = resolve(config.path, base_folder)
    train, test = _pairs(root, "train"), _pairs(root, "val")
    used = set(CLASSES.values())
    void = tuple(n for n in (*range(_LARGEST + 1), _NO_NUMBER) if n not in used)

    def read() -> RawTables:
        return RawTables(
            _table(train, "leftImg8bit/train"),
            _table(test, "leftImg8bit/val"),
            class_names=list(CLASSES),
            size=config.size,
            channels=config.channels,
            annotations=Annotations(void, {n: k for k, n in enumerate(CLASSES.values())}),
        )

    return RawData([*pair_stamps(root, train), "val", *pair_stamps(root, test)], read)


def _pairs(root: Path, split: str) -> list[Pair]:
    folder = root / "leftImg8bit" / split
    pairs = []
    for image in sorted(folder.glob(f"*/*{_IMAGE}")):
        name = image.name.removesuffix(_IMAGE) + _ANNOTATION
        annotation = root / "gtFine" / split / image.parent.name / name
        if not annotation.is_file():
            raise UserError(
                f"{image} has no annotation at {annotation}: unpack gtFine_trainvaltest beside "
                "leftImg8bit_trainvaltest, or remove the image."
            )
        pairs.append(Pair(image, annotation))
    if not pairs:
        raise UserError(
            f"data.path is {root}, but {folder} holds no <city>/*{_IMAGE}: set it to the folder "
            "that holds leftImg8bit and gtFine."
        )
    return pairs


def _table(pairs: list[Pair], where: str) -> RawTable:
    city = np.array([pair.image.parent.name for pair in pairs], dtype=np.str_)
    return pair_table(pairs, where, {"city": city})
