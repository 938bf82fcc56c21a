"""A data set that is made, not read: grey images of a bar in one of four directions."""

from pathlib import Path
from typing import Literal

import numpy as np
from fedzda.platform.config import DataConfig
from fedzda.platform.data.sources.raw import RawData, RawTable, RawTables
from pydantic import Field

_DIRECTIONS = ["across", "down", "rising", "falling"]


class BarsConfig(DataConfig):
    """Bars with noise."""

    name: Literal["my-plugin-bars"] = "my-plugin-bars"
    samples: int = Field(default=400, ge=8)
    """Number of images."""


def bars(config: BarsConfig, base_folder: Path) -> RawData:
    """Its identity says what it is; ``read`` is called only if the cache does not hold it yet."""

    def read() -> RawTables:
        rng = np.random.default_rng(0)
        labels = rng.integers(0, 4, config.samples)
        row, column = np.mgrid[:8, :8]
        places = np.stack([row - 3, column - 3, row + column - 7, row - column])
        bar = np.abs(places[labels] - rng.integers(-1, 2, config.samples)[:, None, None]) < 1
        pixels = np.clip(0.7 * bar + rng.normal(0.1, 0.1, bar.shape), 0, 1)
        table = RawTable((255 * pixels).astype(np.uint8), labels, where="the bars")
        return RawTables(table, class_names=_DIRECTIONS)

    return RawData(["my-plugin-bars 1", str(config.samples)], read)


bars.Config = BarsConfig
