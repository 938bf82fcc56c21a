"""A raw data set to memory-mapped columns: the work that is done once per content.

Folder: ``meta.json`` and, for split in (train, test) and column number k, ``<split>-<k>.npy``.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fedzda.base import numpy_rng
from fedzda.platform.data.annotations import PIXELS, annotation_chunks, labelled
from fedzda.platform.data.apportion import stratified_choice
from fedzda.platform.data.clean import clean_chunks
from fedzda.platform.data.grouping import group_numbers, grouped_choice
from fedzda.platform.data.images import Standardiser
from fedzda.platform.data.labels import Labels, encode
from fedzda.platform.data.sources.raw import Array, RawTables
from fedzda.platform.data.store import NpyWriter
from fedzda.platform.files import write_json

HELD_OUT = 0.1
"""Share of the pool that becomes the global test set where the source has none."""

_Mask = npt.NDArray[np.bool_]


def convert(
    tables: RawTables, folder: Path, group: str | None = None, group_without: str | None = None
) -> None:
    """Decode every image once, in bounded memory, and note mean and standard deviation.

    The held-out test set depends on the labels (or groups) alone, not on the seed of a run: like a
    test split that ships with the data, it is the same in every run.

    Args:
        tables: What the source read.
        folder: Where to write.
        group: Column whose equal values are held out together, if any are.
        group_without: What is cut out of its values.

    Raises:
        UserError: Unusable labels, annotations, images, clean counterparts or groups.
    """
    tables, pixels = labelled(tables)
    train_labels, test_labels, class_names = encode(tables)
    held_out = np.zeros(len(train_labels), bool)
    if test_labels is None and group is not None:
        groups = group_numbers(tables.train.columns, group, group_without)
        held_out = grouped_choice(groups, HELD_OUT, numpy_rng(0, "global-test"))
    elif test_labels is None:
        held_out = _held_out(train_labels)
    test_column = train_labels[held_out] if test_labels is None else test_labels
    histogram, shape = _write_images(tables, held_out, len(test_column), folder)
    pool = {"label": train_labels, **tables.train.columns}
    train = {name: column[~held_out] for name, column in pool.items()}
    test = {"label": test_column}
    splits = [tables.train] + ([tables.test] if tables.test else [])
    if pixels:
        train[PIXELS] = pixels[0][~held_out]
        test[PIXELS] = pixels[1] if tables.test else pixels[0][held_out]
        before = (len(train), len(test))
        found = (annotation_chunks(table, tables) for table in splits)
        _write_further(found, held_out, len(test_column), folder, before)
    _save(train, folder, "train")
    _save(test, folder, "test")
    mean, std = _moments(histogram)
    last = ["annotation"] if pixels else []
    if tables.train.clean is not None:
        before = (len(train) + len(last), len(test) + len(last))
        found = (clean_chunks(table, tables, shape) for table in splits)
        _write_further(found, held_out, len(test_column), folder, before)
        last.append("clean")
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


def _write_further(
    pieces: Iterator[Iterator[Array]],
    held_out: _Mask,
    num_test: int,
    folder: Path,
    before: tuple[int, int],
) -> None:
    """Write a column of pictures of both splits behind ``before`` columns of train and of test.

    Args:
        pieces: Pictures of the pool, then of the test set if the source has one.
        held_out: Rows of the pool that are the test set if it has none.
        num_test: Rows of the test set.
        folder: Where to write.
        before: Columns of train and of test that stand between the images and this one.
    """
    done = 0
    files = [
        folder / f"{split}-{n + 1}.npy" for split, n in zip(("train", "test"), before, strict=True)
    ]
    with (
        NpyWriter(files[0], int((~held_out).sum())) as train,
        NpyWriter(files[1], num_test) as test,
    ):
        for chunk in next(pieces):
            mask = held_out[done : done + len(chunk)]
            done += len(chunk)
            train.append(chunk[~mask])
            test.append(chunk[mask])
        for chunk in next(pieces, iter(())):
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
