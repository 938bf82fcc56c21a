"""ADE20K in the layout of its scene parsing benchmark (``ADEChallengeData2016``): 150 classes.

Files hold 1 .. 150 for the classes and 0 for "other", which is void here.
"""

from __future__ import annotations

from pathlib import Path

from fedzda.platform.data.sources.config import ADE20KConfig
from fedzda.platform.data.sources.pairs import matched, pair_stamps, pair_table
from fedzda.platform.data.sources.paths import resolve, stamps
from fedzda.platform.data.sources.raw import Annotations, RawData, RawTables

_CLASSES = 150
_OTHER = 0
_NAMES = "objectInfo150.txt"


def load(config: ADE20KConfig, base_folder: Path) -> RawData:
    """``images/training`` is the pool, ``images/validation`` the global test set.

    Names of the classes come from ``objectInfo150.txt``, if the folder holds it.

    Raises:
        UserError: Nothing at the path, a folder is missing or empty, a file has no partner.
    """
    root = resolve(config.path, base_folder)
    train, test = (
        matched(root / "images" / split, root / "annotations" / split)
        for split in ("training", "validation")
    )
    names_file = root / _NAMES

    def read() -> RawTables:
        return RawTables(
            pair_table(train, "images/training"),
            pair_table(test, "images/validation"),
            class_names=_names(names_file),
            size=config.size,
            channels=config.channels,
            annotations=Annotations((_OTHER,), {k + 1: k for k in range(_CLASSES)}),
        )

    known = stamps([names_file]) if names_file.exists() else []
    files = [*pair_stamps(root, train), "validation", *pair_stamps(root, test)]
    return RawData([*files, *known], read)


def _names(file: Path) -> list[str]:
    """The first synonym of every class; its number where there is no file."""
    if not file.exists():
        return [str(number) for number in range(1, _CLASSES + 1)]
    rows = [line.split("\t") for line in file.read_text(encoding="utf-8").splitlines()[1:]]
    return [row[-1].split(",")[0].strip() for row in rows if len(row) > 1]
