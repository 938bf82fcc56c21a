"""A folder of images and a folder of annotations with the same names."""

from __future__ import annotations

from pathlib import Path

from fedzda.platform.data.sources.config import SegmentationFolderConfig
from fedzda.platform.data.sources.pairs import matched, pair_stamps, pair_table
from fedzda.platform.data.sources.paths import resolve
from fedzda.platform.data.sources.raw import Annotations, RawData, RawTables


def load(config: SegmentationFolderConfig, base_folder: Path) -> RawData:
    """``images/*`` and ``annotations/*``, or both with ``train/*`` and maybe ``test/*``.

    Raises:
        UserError: Nothing at the path, a folder is missing or empty, a file has no partner.
    """
    root = resolve(config.path, base_folder)
    images, annotations = root / config.images, root / config.annotations
    if (images / "train").is_dir():
        train = matched(images / "train", annotations / "train")
        has_test = (images / "test").is_dir()
        test = matched(images / "test", annotations / "test") if has_test else []
    else:
        train, test = matched(images, annotations), []

    def read() -> RawTables:
        return RawTables(
            pair_table(train, "the training folder"),
            pair_table(test, "the test folder") if test else None,
            class_names=config.class_names,
            size=config.size,
            channels=config.channels,
            annotations=Annotations(tuple(config.void)),
        )

    return RawData([*pair_stamps(root, train), "test", *pair_stamps(root, test)], read)
