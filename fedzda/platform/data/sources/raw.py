"""What a source hands over: an identity that is cheap to get, and a reader that runs only once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from fedzda.base import UserError, fingerprint

Array = npt.NDArray[Any]

UNLABELLED = "image"
"""The only class of images that have no labels."""


class RawImage(NamedTuple):
    """One image as stored."""

    where: str
    """File or row, for error messages."""
    content: bytes | Path | Array
    """Encoded bytes, a file, or decoded uint8 pixels (H, W) or (H, W, C)."""


@dataclass(frozen=True)
class RawTable:
    """The rows of one split.

    Attributes:
        images: All images as one array, (N, H, W), (N, H, W, C) or (N, C, H, W), uint8 or float in
            [0, 1]; or a function that yields them one by one, in the order of ``labels``.
        labels: (N,) integers ``0 .. K-1`` or strings.
        columns: Further columns (N,) that a partitioner reads, such as natural ids.
        where: The table's name in error messages.
        annotations: A value per pixel of every image, (N, H, W) integers or a function as for
            ``images``; what the values mean stands in ``RawTables.annotations``. Then ``labels``
            only say how many rows there are: each image is labelled by its most frequent class.
        clean: What every image would be without its noise, in the forms of ``images`` that are not
            channels-first; None: not known.
    """

    images: Array | Callable[[], Iterator[RawImage]]
    labels: Array
    columns: dict[str, Array] = field(default_factory=dict)
    where: str = "the data"
    annotations: Array | Callable[[], Iterator[RawImage]] | None = None
    clean: Array | Callable[[], Iterator[RawImage]] | None = None

    def __post_init__(self) -> None:
        arrays = {**self.columns, **({} if callable(self.images) else {"images": self.images})}
        for name, array in {**arrays, "labels": self.labels}.items():
            if (
                array.ndim == 0
                or len(array) != len(self.labels)
                or (name != "images" and array.ndim > 1)
            ):
                raise UserError(
                    f"the {name} of {self.where} have shape {array.shape} beside labels of shape "
                    f"{self.labels.shape}: both need one entry per image."
                )


@dataclass(frozen=True)
class Annotations:
    """What the values of annotations mean.

    Attributes:
        void: Values that mean no class.
        classes: Class of every other value; None: the values 0 .. K-1 are the classes.
    """

    void: tuple[int, ...] = (255,)
    classes: dict[int, int] | None = None


@dataclass(frozen=True)
class RawTables:
    """All splits of a data set.

    Attributes:
        train: The pool that is dealt to clients.
        test: The global test set; None: a tenth of the pool is held out.
        class_names: Names of the classes 0 .. K-1, where known.
        size: Edge in pixels, or height and width, that every image is resized to; None: as stored.
        channels: 1 (grey), 3 (RGB) or as stored.
        annotations: For tables with annotations: what their values mean.
    """

    train: RawTable
    test: RawTable | None = None
    class_names: list[str] | None = None
    size: int | Sequence[int] | None = None
    channels: Literal[1, 3, "auto"] = "auto"
    annotations: Annotations | None = None


@dataclass(frozen=True)
class RawData:
    """A data set that has not been read yet.

    Attributes:
        identity: Texts that change whenever the content does (files with size and time, versions).
        read: Reads it; called only when the cache does not hold ``identity`` yet.
    """

    identity: list[str]
    read: Callable[[], RawTables]

    @classmethod
    def from_arrays(
        cls,
        train: tuple[Array | Sequence[Array], Array],
        test: tuple[Array | Sequence[Array], Array] | None = None,
        class_names: list[str] | None = None,
    ) -> RawData:
        """A data set in memory, given as (images, labels); identified by its content.

        Images are one array, or a list of decoded uint8 images that may differ in size.
        """
        given = {"train": train} | ({"test": test} if test is not None else {})
        identity = []
        for name, (images, labels) in given.items():
            parts = [images] if isinstance(images, np.ndarray) else images
            identity += [name, fingerprint({"labels": np.asarray(labels)})]
            identity += [fingerprint({"image": part}) for part in parts]
        tables = {name: _table(name, *pair) for name, pair in given.items()}
        return cls(identity, lambda: RawTables(tables["train"], tables.get("test"), class_names))


def _table(name: str, images: Array | Sequence[Array], labels: Array) -> RawTable:
    if isinstance(images, np.ndarray):
        return RawTable(images, np.asarray(labels), where=name)

    if len(images) != len(labels):
        raise UserError(
            f"{name} has {len(images)} images and {len(labels)} labels: both must agree."
        )

    def items() -> Iterator[RawImage]:
        for row, image in enumerate(images):
            yield RawImage(f"{name} row {row}", image)

    return RawTable(items, np.asarray(labels), where=name)
