"""Mosaics of textures: grey images whose annotations are exact, without any download.

Five photographs that ship inside scikit-image are the textures. Each mosaic is divided into Voronoi
cells of random points; a cell is filled with a window of one texture, mirrored or turned at random
and with a brightness and contrast of its own, so that the grey level gives no class away. Training
and test mosaics are cut from different parts of the photographs.

H, W: height and width.
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fedzda.base import UserError, numpy_rng
from fedzda.platform.data.sources.config import TexturesConfig
from fedzda.platform.data.sources.raw import Annotations, Array, RawData, RawTable, RawTables

CLASSES = {
    "brick": "brick",
    "grass": "grass",
    "gravel": "gravel",
    "print": "page",
    "tissue": "immunohistochemistry",
}
"""Name of each class and of the function of ``skimage.data`` that gives its photograph."""

_SHRINK = 3
"""Pixels of a photograph along one of a texture: a brick then fits into a cell."""
_TRAIN_SHARE = 2 / 3
"""Left part of every photograph that training mosaics are cut from."""
_MEAN, _STD = 0.5, 0.2

Floats = npt.NDArray[np.float64]


def load(config: TexturesConfig, base_folder: Path) -> RawData:
    """The mosaics; they depend on the block's keys alone, not on the seed of a run.

    Raises:
        UserError: scikit-image is not installed.
    """
    try:
        installed = version("scikit-image")
    except PackageNotFoundError as error:
        raise UserError(
            "data.name is 'textures', which needs the package scikit-image. Run: "
            "pip install 'fedzda[vision]'"
        ) from error

    def read() -> RawTables:
        photographs = [_texture(name) for name in CLASSES.values()]
        cuts = [round(photo.shape[1] * _TRAIN_SHARE) for photo in photographs]
        pairs = list(zip(photographs, cuts, strict=True))
        return RawTables(
            _table([photo[:, :cut] for photo, cut in pairs], config, config.images, "training"),
            _table([photo[:, cut:] for photo, cut in pairs], config, config.test_images, "test"),
            class_names=list(CLASSES),
            size=config.size,
            channels=config.channels,
            annotations=Annotations(),
        )

    return RawData(["scikit-image", installed], read)


def _texture(name: str) -> Floats:
    """A photograph in grey, shrunk, with a common mean and standard deviation."""
    from skimage import data

    pixels = np.asarray(getattr(data, name)(), dtype=np.float64)
    grey = pixels.mean(axis=2) if pixels.ndim == 3 else pixels
    height, width = (side // _SHRINK for side in grey.shape)
    cut = grey[: height * _SHRINK, : width * _SHRINK]
    small = cut.reshape(height, _SHRINK, width, _SHRINK).mean(axis=(1, 3))
    return np.asarray(_MEAN + _STD * (small - small.mean()) / small.std())


def _table(parts: list[Floats], config: TexturesConfig, count: int, purpose: str) -> RawTable:
    rng = numpy_rng(0, f"textures-{purpose}")
    # Mirrored at its borders, a texture is as large as any window needs.
    padded = [np.pad(part, config.edge, mode="symmetric") for part in parts]
    mosaics = [_mosaic(padded, config, rng) for _ in range(count)]
    images, annotations = (np.stack(column) for column in zip(*mosaics, strict=True))
    labels = np.zeros(count, dtype=np.int64)
    where = f"the {purpose} mosaics"
    return RawTable(images, labels, where=where, annotations=annotations)


def _mosaic(
    textures: list[Floats], config: TexturesConfig, rng: np.random.Generator
) -> tuple[Array, Array]:
    """One image and its annotation, uint8 (H, W)."""
    edge, regions = config.edge, config.regions
    centres = rng.uniform(0, edge, (regions, 2))
    classes = rng.permutation(np.arange(regions) % len(textures))
    if regions < len(textures):
        classes = rng.choice(len(textures), regions, replace=False)
    grid = np.moveaxis(np.indices((edge, edge)), 0, -1)
    distance = ((grid[:, :, None] - centres) ** 2).sum(axis=-1)
    nearest = distance.argmin(axis=-1)
    image = np.zeros((edge, edge))
    for region, label in enumerate(classes):
        own = nearest == region
        image[own] = _window(textures[label], edge, rng)[own]
    pixels = np.rint(255 * image.clip(0.0, 1.0)).astype(np.uint8)
    return pixels, classes[nearest].astype(np.uint8)


def _window(texture: Floats, edge: int, rng: np.random.Generator) -> Floats:
    """A square piece of a texture, turned or mirrored, with its own brightness and contrast."""
    top, left = (int(rng.integers(side - edge + 1)) for side in texture.shape)
    piece = np.rot90(texture[top : top + edge, left : left + edge], int(rng.integers(4)))
    if rng.integers(2):
        piece = piece[:, ::-1]
    gain, offset = rng.uniform(0.6, 1.2), rng.uniform(-0.1, 0.1)
    return np.asarray(_MEAN + offset + gain * (piece - _MEAN))
