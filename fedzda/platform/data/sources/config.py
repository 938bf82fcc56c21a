"""Configuration of the data sources. Imports neither torch nor any reader."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from fedzda.platform.config import DataConfig


class ImageSourceConfig(DataConfig):
    """What every source of labelled images shares."""

    size: int | None = Field(default=None, ge=1)
    """Resize every image to ``size`` x ``size`` pixels; left out: all must have one size."""
    channels: Literal[1, 3, "auto"] = "auto"
    """1: convert to grey, 3: convert to RGB, ``auto``: as stored (all must agree)."""


class DigitsConfig(ImageSourceConfig):
    """1,797 digits of 8x8 pixels that ship inside scikit-learn."""

    name: Literal["digits"] = "digits"


class ParquetConfig(ImageSourceConfig):
    """Parquet files in the layout of hub data sets."""

    name: Literal["parquet"] = "parquet"
    path: str
    """A Parquet file, or a folder with ``train*.parquet`` and, if there is a test split,
    ``test*.parquet`` (in it or in its ``data`` folder). ``~`` and ``${FEDZDA_DATA}`` expand;
    a relative path starts at the folder of the YAML file."""
    image: str = "image"
    """Column of encoded images (PNG, JPEG, …): raw bytes, or a struct of bytes and path."""
    label: str = "label"
    """Column of labels: integers ``0 .. K-1``, or strings, which are numbered in sorted order."""


class FolderConfig(ImageSourceConfig):
    """A folder of images with one sub-folder per class."""

    name: Literal["folder"] = "folder"
    path: str
    """Folder that holds ``<class>/*.png|jpg|…``, or ``train/<class>/…`` and ``test/<class>/…``."""


class HubConfig(ImageSourceConfig):
    """A Hugging Face data set by name; once fetched and converted it works without network."""

    name: Literal["hub"] = "hub"
    repo: str
    """``owner/name`` on the hub, or a local folder in the layout of a hub data set."""
    subset: str | None = None
    """Configuration of the data set, where it has several."""
    revision: str | None = None
    """Commit or tag. The cache is keyed by this text, so pin a commit."""
    train_split: str = "train"
    """Split that is dealt to the clients."""
    test_split: str | None = "test"
    """Split that is the global test set; null: a tenth of the training split is held out."""
    image: str = "image"
    """Column of images."""
    label: str = "label"
    """Column of labels."""


class ArraysConfig(ImageSourceConfig):
    """NumPy arrays in an ``.npz`` file."""

    name: Literal["arrays"] = "arrays"
    path: str
    """The ``.npz`` file (plain arrays; pickled objects are refused)."""
    image: str = "image"
    """Key of the images: (N, H, W), (N, H, W, C) or (N, C, H, W); uint8, or floats in [0, 1]."""
    label: str = "label"
    """Key of the labels: (N,)."""
    test_image: str | None = None
    """Key of the global test images; left out: a tenth is held out."""
    test_label: str | None = None
    """Key of the global test labels."""
