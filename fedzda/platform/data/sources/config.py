"""Configuration of the data sources. Imports neither torch nor any reader."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from fedzda.platform.config import DataConfig

_Pixels = Annotated[int, Field(ge=1, le=8192)]


class ImageSourceConfig(DataConfig):
    """What every source of labelled images shares."""

    size: _Pixels | Annotated[list[_Pixels], Field(min_length=2, max_length=2)] | None = None
    """Resize every image to ``size`` x ``size`` pixels, or to ``[height, width]``; left out: all
    must have one size."""
    channels: Literal[1, 3, "auto"] = "auto"
    """1: convert to grey, 3: convert to RGB, ``auto``: as stored (all must agree)."""


class AnnotatedConfig(ImageSourceConfig):
    """What sources share whose images may have a class for every pixel."""

    class_names: list[str] | None = Field(default=None, min_length=1, max_length=255)
    """Names of the classes 0, 1, …; left out: those that the source knows, or numbers."""
    void: list[Annotated[int, Field(ge=0, le=65535)]] = Field(default=[255])
    """Values of an annotation that mean no class: nothing is learned or measured there."""


class DigitsConfig(ImageSourceConfig):
    """1,797 digits of 8x8 pixels that ship inside scikit-learn."""

    name: Literal["digits"] = "digits"


class ParquetConfig(AnnotatedConfig):
    """Parquet files in the layout of hub data sets."""

    name: Literal["parquet"] = "parquet"
    path: str
    """A Parquet file, or a folder with ``train*.parquet`` and, if there is a test split,
    ``test*.parquet`` (in it or in its ``data`` folder). ``~`` and ``${FEDZDA_DATA}`` expand;
    a relative path starts at the folder of the YAML file."""
    image: str = "image"
    """Column of encoded images (PNG, JPEG, …): raw bytes, or a struct of bytes and path."""
    label: str | None = "label"
    """Column of labels: integers ``0 .. K-1``, or strings, which are numbered in sorted order;
    null: there are none, and the task needs none."""
    annotation: str | None = None
    """Column of encoded images with a class in every pixel, for segmentation. The images are then
    labelled by their most frequent class, and ``label`` is not read."""
    noisy: str | None = None
    """Column of encoded noisy images, for denoising, in the place of ``image``; needs ``clean``.
    Neither ``image`` nor ``label`` is read then."""
    clean: str | None = None
    """Column of their clean counterparts, each of the size of its noisy image."""


class FolderConfig(ImageSourceConfig):
    """A folder of images with one sub-folder per class."""

    name: Literal["folder"] = "folder"
    path: str
    """Folder that holds ``<class>/*.png|jpg|…``, or ``train/<class>/…`` and ``test/<class>/…``."""


class SegmentationFolderConfig(AnnotatedConfig):
    """A folder of images and a folder of annotations with the same names."""

    name: Literal["segmentation-folder"] = "segmentation-folder"
    path: str
    """Folder that holds both. Either may hold ``train`` and ``test`` folders, or all pairs."""
    images: str = "images"
    """Folder of the images, in ``path``."""
    annotations: str = "annotations"
    """Folder of the annotations, in ``path``: grey or palette images with a class per pixel."""


class ADE20KConfig(ImageSourceConfig):
    """ADE20K in the layout of its scene parsing benchmark, 150 classes."""

    name: Literal["ade20k"] = "ade20k"
    path: str
    """Folder ``ADEChallengeData2016``, with ``images`` and ``annotations``. Its images differ in
    size, so set ``size``."""


class CityscapesConfig(ImageSourceConfig):
    """Cityscapes with fine annotations, its 19 classes, and ``city`` as natural client."""

    name: Literal["cityscapes"] = "cityscapes"
    path: str
    """Folder with ``leftImg8bit`` and ``gtFine``."""


class TexturesConfig(ImageSourceConfig):
    """Mosaics of textures with exact annotations, from photographs that ship in scikit-image."""

    fast: ClassVar[Mapping[str, Any]] = {"images": 60, "test_images": 10}
    name: Literal["textures"] = "textures"
    images: int = Field(default=400, ge=1)
    """Mosaics for training."""
    test_images: int = Field(default=100, ge=1)
    """Mosaics of the global test set; their textures are cut from other parts of the photographs.
    """
    edge: int = Field(default=48, ge=8, le=256)
    """Height and width of a mosaic in pixels."""
    regions: int = Field(default=4, ge=1)
    """Regions of a mosaic, each filled with one texture."""


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
