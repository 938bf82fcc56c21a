"""The 1,797 digits that ship inside scikit-learn: grey images of 8x8 pixels (UCI optdigits)."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import numpy as np

from fedzda.platform.data.sources.config import DigitsConfig
from fedzda.platform.data.sources.raw import RawData, RawTable, RawTables


def load(config: DigitsConfig, base_folder: Path) -> RawData:
    """The digits; their 17 grey values 0..16 are spread over 0..255."""

    def read() -> RawTables:
        from sklearn.datasets import load_digits

        found = load_digits()
        images = np.rint(found.images * (255 / 16)).astype(np.uint8)
        table = RawTable(images, found.target.astype(np.int64), where="the digits")
        return RawTables(table, size=config.size, channels=config.channels)

    return RawData(["scikit-learn", version("scikit-learn")], read)
