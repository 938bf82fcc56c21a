"""Annotations: images that hold a class for every pixel, brought to ``uint8`` maps.

In prepared data a pixel holds a class ``0 .. K - 1`` or :data:`VOID`, whatever the files hold.

N images, H height, W width, K classes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

import numpy as np
import numpy.typing as npt

from fedzda.base import UserError
from fedzda.platform.data.images import CHUNK_BYTES, height_width, opened
from fedzda.platform.data.pairs import counterparts, matched
from fedzda.platform.data.sources.raw import Annotations, Array, RawImage, RawTable, RawTables

VOID = 255
"""A pixel that belongs to no class: nothing is learned from it and nothing is measured on it."""

PIXELS = "annotation-pixels"
"""Column of annotated data: pixels ``(N, K)`` of each class in each image."""

_INDEXED = ("1", "L", "P", "I;16", "I;16L", "I;16B", "I")
Counts = npt.NDArray[np.int64]


def labelled(tables: RawTables) -> tuple[RawTables, list[Counts]]:
    """The tables with each image labelled by its most frequent class, and pixels per class.

    Partitioners and splits look at that label. Tables without annotations are returned as they are.

    Returns:
        The tables, and for train and (if there is one) test the pixels ``(N, K)`` of each image.

    Raises:
        UserError: An annotation that cannot be read, has another size than its image, holds a value
            that is no class, or holds nothing but void.
    """
    rule = tables.annotations
    if rule is None:
        return tables, []
    splits = [tables.train] + ([tables.test] if tables.test else [])
    surveys = [_survey(table, tables, rule) for table in splits]
    names = tables.class_names or _names(splits, surveys)
    counts = [survey[:, : len(names)] for survey in surveys]
    labels = [pixels.argmax(axis=1) for pixels in counts]
    return (
        replace(
            tables,
            train=replace(tables.train, labels=labels[0]),
            test=replace(tables.test, labels=labels[1]) if tables.test else None,
            class_names=names,
        ),
        counts,
    )


def annotation_chunks(table: RawTable, tables: RawTables) -> Iterator[Array]:
    """The annotations of a table in order, as uint8 (n, H, W) in pieces of ``CHUNK_BYTES``."""
    assert tables.annotations is not None
    pending: list[Array] = []
    for item in counterparts(table.annotations, table.where):
        pending.append(_standard(item, tables, tables.annotations))
        if len(pending) * pending[0].nbytes >= CHUNK_BYTES:
            yield np.stack(pending)
            pending = []
    if pending:
        yield np.stack(pending)


def _survey(table: RawTable, tables: RawTables, rule: Annotations) -> Counts:
    """Pixels ``(N, 256)`` of every value in every image; all checks are made here."""
    rows = []
    for item in matched(table, table.annotations, "annotation"):
        pixels = _standard(item, tables, rule)
        count = np.bincount(pixels.ravel(), minlength=VOID + 1)
        if count[:VOID].sum() == 0:
            raise UserError(
                f"annotation {item.where} marks every pixel as void ({_listed(rule.void)}): remove "
                "the image and its annotation, or correct data.void."
            )
        rows.append(count)
    return np.array(rows, dtype=np.int64).reshape(-1, VOID + 1)


def _names(splits: list[RawTable], surveys: list[Counts]) -> list[str]:
    """Numbers of the classes, if all up to the largest are used: a gap is a wrong value."""
    used = np.concatenate(surveys)[:, :VOID].sum(axis=0) > 0
    known = int(np.flatnonzero(used).max(initial=0)) + 1
    if not used[:known].all():
        number = next(i for i, pixels in enumerate(surveys) if pixels[:, known - 1].any())
        row = int(np.argmax(surveys[number][:, known - 1]))
        table = splits[number]
        where = next(islice(counterparts(table.annotations, table.where), row, None)).where
        raise UserError(
            f"annotation {where} holds the value {known - 1}, but no annotation holds "
            f"{int(np.argmin(used))}: list all classes in data.class_names, and in data.void the "
            "values that are none."
        )
    return [str(label) for label in range(known)]


def _standard(item: RawImage, tables: RawTables, rule: Annotations) -> Array:
    """One annotation as classes and void, resized to the nearest pixel if images are resized."""
    from PIL import Image

    if isinstance(item.content, np.ndarray):
        picture = Image.fromarray(item.content.astype(np.int32))
    else:
        picture = opened(item)
    if picture.mode not in _INDEXED:
        raise UserError(
            f"annotation {item.where} has colours (mode {picture.mode}): it must hold the number "
            "of a class in every pixel. Convert it to a grey or palette image."
        )
    size = height_width(tables.size)
    if size is not None:
        picture = picture.resize(size[::-1], Image.Resampling.NEAREST)
    return _classes(np.asarray(picture).astype(np.int64), item.where, tables.class_names, rule)


def _classes(
    values: npt.NDArray[np.int64], where: str, names: list[str] | None, rule: Annotations
) -> Array:
    """Values of a file to classes; one that is neither a class nor void is refused."""
    known = len(names) if names else VOID
    found = np.full(values.shape, VOID, dtype=np.int64)
    stored = rule.classes if rule.classes is not None else {k: k for k in range(known)}
    settled = np.isin(values, rule.void)
    for value in np.unique(values[~settled]).tolist():
        if value not in stored:
            raise UserError(
                f"annotation {where} holds the value {value}: it must hold "
                f"{_listed(sorted(stored))}, or {_listed(rule.void)} for void. Correct it, or set "
                "data.class_names and data.void."
            )
        found[values == value] = stored[value]
    return found.astype(np.uint8)


def _listed(values: list[int] | tuple[int, ...]) -> str:
    """``3``, ``0, 5, 7``, or ``0 .. 10`` for a run."""
    if len(values) > 2 and values[-1] - values[0] == len(values) - 1:
        return f"{values[0]} .. {values[-1]}"
    return ", ".join(map(str, values))
