"""Photographs that ship inside scikit-image and scikit-learn, in pieces, for restoration.

One photograph is the global test set, the others are dealt to cameras. What a camera does to them
(noise, blur) is the task's.
"""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

import numpy as np

from fedzda.base import UserError
from fedzda.clients.sources.config import PhotographsConfig
from fedzda.clients.sources.installed import installed
from fedzda.platform.data.sources.raw import UNLABELLED, Array, RawData, RawTable, RawTables

SCIKIT_IMAGE = {
    "astronaut": "astronaut",
    "chelsea": "chelsea",
    "coffee": "coffee",
    "motorcycle": "stereo_motorcycle",
    "rocket": "rocket",
}
"""Name of each photograph and of the function of ``skimage.data`` that gives it. Its pictures of
stars, tissue and a retina are left out: flat and dark, they say little about photographs."""
SCIKIT_LEARN = ("china.jpg", "flower.jpg")
"""Files of ``sklearn.datasets``."""
TESTED = "chelsea"
"""The global test set."""


def load(config: PhotographsConfig, base_folder: Path) -> RawData:
    """The pieces; they depend on the block's keys alone, not on the seed of a run.

    Raises:
        UserError: scikit-image is not installed, or a piece is larger than every photograph.
    """
    names = [*SCIKIT_IMAGE, *SCIKIT_LEARN, "tested", TESTED]
    identity = [installed("photographs"), version("scikit-learn"), *names]
    return RawData(identity, lambda: _read(config))


def _read(config: PhotographsConfig) -> RawTables:
    dealt: dict[str, list[Array]] = {name: [] for name in ("images", "camera", "photograph")}
    tested: list[Array] = []
    for name, pixels in photographs().items():
        found = _pieces(_shrunk(pixels, config.shrink), config.edge)
        if name == TESTED:
            tested += found
            continue
        chosen = _spaced(found, config.pieces * config.cameras)
        for number, piece in enumerate(chosen):
            dealt["images"].append(piece)
            dealt["camera"].append(np.array(f"camera-{number % config.cameras}"))
            dealt["photograph"].append(np.array(name))
    if not dealt["images"] or not tested:
        raise UserError(
            f"data.edge is {config.edge} with data.shrink {config.shrink}: no photograph is that "
            "large. Lower one of them."
        )
    most = max(np.unique(dealt["photograph"], return_counts=True)[1])
    if most < config.cameras:
        raise UserError(
            f"data.cameras is {config.cameras}, and no photograph has more than {most} pieces of "
            f"data.edge {config.edge} at data.shrink {config.shrink}. Lower one of them."
        )
    columns = {name: np.stack(dealt[name]) for name in ("camera", "photograph")}
    return RawTables(
        _table(dealt["images"], "the photographs", columns),
        _table(tested, "the test photograph", {}),
        class_names=[UNLABELLED],
        size=config.size,
        channels=config.channels,
    )


def photographs() -> dict[str, Array]:
    """Name to 8-bit pixels ``(H, W, 3)``."""
    from skimage import data
    from sklearn.datasets import load_sample_image

    found = {}
    for name, function in SCIKIT_IMAGE.items():
        picture = getattr(data, function)()
        found[name] = np.asarray(picture[0] if isinstance(picture, tuple) else picture)
    for name in SCIKIT_LEARN:
        found[name.partition(".")[0]] = np.asarray(load_sample_image(name))
    return found


def _shrunk(pixels: Array, factor: int) -> Array:
    """The mean of squares of ``factor`` pixels, uint8."""
    height, width = (side // factor for side in pixels.shape[:2])
    cut = pixels[: height * factor, : width * factor].astype(np.float64)
    means = cut.reshape(height, factor, width, factor, 3).mean(axis=(1, 3))
    return np.asarray(np.rint(means), np.uint8)


def _pieces(pixels: Array, edge: int) -> list[Array]:
    """All whole squares of a grid in the middle of a photograph, row by row."""
    rows, columns = (side // edge for side in pixels.shape[:2])
    top, left = ((side % edge) // 2 for side in pixels.shape[:2])
    return [
        pixels[top + r * edge : top + (r + 1) * edge, left + c * edge : left + (c + 1) * edge]
        for r in range(rows)
        for c in range(columns)
    ]


def _spaced(found: list[Array], most: int) -> list[Array]:
    """At most so many, from all over a photograph."""
    if len(found) <= most:
        return found
    return [found[int(place)] for place in np.linspace(0, len(found) - 1, most).round()]


def _table(images: list[Array], where: str, columns: dict[str, Array]) -> RawTable:
    labels = np.zeros(len(images), dtype=np.int64)
    return RawTable(np.stack(images), labels, columns, where)
