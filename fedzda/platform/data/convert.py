"""A raw data set to memory-mapped columns: the work that is done once per content.

Folder: ``meta.json`` and, for split in (train, test) and column number k, ``<split>-<k>.npy``.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from fedzda.base import numpy_rng
from fedzda.platform.data.annotations import PIXELS, annotation_chunks, labelled
from fedzda.platform.data.apportion import stratified_choice
from fedzda.platform.data.images import Standardiser
from fedzda.platform.data.labels import Labels, encode
from fedzda.platform.data.sources.raw import Array, RawTables
from fedzda.platform.data.store import NpyWriter
from fedzda.platform.files import write_json

HELD_OUT = 0.1
"""Share of the pool that becomes the global test set where the source has none."""

_Mask = npt.NDArray[np.bool_]


def convert(tables: RawTables, folder: Path) -> None:
    """Decode every image once, in bounded memory, and note mean and standard deviation.

    The held-out test set depends on the labels alone, not on the seed of a run: like a test split
    that ships with the data, it is the same in every run.

    Raises:
        UserError: Unusable labels, annotations or images.
    """
    tables, pixels = labelled(tables)
    train_labels, test_labels, class_names = encode(tables)
    held_out = _held_out(train_labels) if test_labels is None else np.zeros(len(train_labels), bool)
    test_column = train_labels[held_out] if test_labels is None else test_labels
    histogram, shape = _write_images(tables, held_out, len(test_column), folder)
    pool = {"label": train_labels, **tables.train.columns}
    train = {name: column[~held_out] for name, column in pool.items()}
    test = {"label": test_column}
    if pixels:
        train[PIXELS] = pixels[0][~held_out]
        test[PIXELS] = pixels[1] if tables.test else pixels[0][held_out]
        _write_annotations(tables, held_out, len(test_column), folder, (len(train), len(test)))
    _save(train, folder, "train")
    _save(test, folder, "test")
    mean, std = _moments(histogram)
    last = ["annotation"] if pixels else []
    meta = {
        "train": ["image", *train, *last],
        "test": ["image", *test, *last],
        "shape": shape,
        "class_names": class_names,
        "mean": mean,
        "std": std,
    }
    write_json(folder / "meta.json", meta)


def _held_out(labels: Labels) -> _Mask:
    mask = np.zeros(len(labels), dtype=bool)
    if len(labels) > 1:
        count = max(1, round(HELD_OUT * len(labels)))
        mask[stratified_choice(labels, count, numpy_rng(0, "global-test"))] = True
    return mask


def _write_images(
    tables: RawTables, held_out: _Mask, num_test: int, folder: Path
) -> tuple[npt.NDArray[np.int64], list[int]]:
    """Write the images of both splits; counts (C, 256) of the training pixels and (C, H, W)."""
    standard = Standardiser(tables.size, tables.channels)
    histogram = np.zeros((1, 256), dtype=np.int64)
    done = 0
    with (
        NpyWriter(folder / "train-0.npy", int((~held_out).sum())) as train,
        NpyWriter(folder / "test-0.npy", num_test) as test,
    ):
        for chunk in standard.chunks(tables.train.images, tables.train.where):
            mask = held_out[done : done + len(chunk)]
            done += len(chunk)
            train.append(chunk[~mask])
            test.append(chunk[mask])
            histogram = histogram + _histogram(chunk[~mask])
        if tables.test is not None:
            for chunk in standard.chunks(tables.test.images, tables.test.where):
                test.append(chunk)
    return histogram, list(standard.shape or ())


def _write_annotations(
    tables: RawTables, held_out: _Mask, num_test: int, folder: Path, before: tuple[int, int]
) -> None:
    """Write the annotations of both splits behind ``before`` columns of train and of test."""
    done = 0
    files = [
        folder / f"{split}-{n + 1}.npy" for split, n in zip(("train", "test"), before, strict=True)
    ]
    with (
        NpyWriter(files[0], int((~held_out).sum())) as train,
        NpyWriter(files[1], num_test) as test,
    ):
        for chunk in annotation_chunks(tables.train, tables):
            mask = held_out[done : done + len(chunk)]
            done += len(chunk)
            train.append(chunk[~mask])
            test.append(chunk[mask])
        if tables.test is not None:
            for chunk in annotation_chunks(tables.test, tables):
                test.append(chunk)


def _save(columns: dict[str, Array], folder: Path, split: str) -> None:
    """Write columns behind the images."""
    for number, column in enumerate(columns.values(), start=1):
        np.save(folder / f"{split}-{number}.npy", column, allow_pickle=False)


def _histogram(images_NCHW: Array) -> npt.NDArray[np.int64]:
    channels = range(images_NCHW.shape[1])
    return np.stack([np.bincount(images_NCHW[:, c].ravel(), minlength=256) for c in channels])


def _moments(histogram: npt.NDArray[np.int64]) -> tuple[list[float], list[float]]:
    """Mean and population standard deviation per channel of pixels in [0, 1], exactly.

    A channel without any variation gets 1, so that dividing by it changes nothing.
    """
    share = histogram / histogram.sum(axis=1, keepdims=True)
    levels = np.arange(256) / 255
    mean = share @ levels
    std = np.sqrt((share * (levels - mean[:, None]) ** 2).sum(axis=1))
    return mean.tolist(), np.where(std > 0, std, 1.0).tolist()
