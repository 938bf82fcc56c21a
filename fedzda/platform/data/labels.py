"""Labels as stored to integers 0 .. K-1."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from fedzda.base import UserError
from fedzda.platform.data.sources.raw import Array, RawTable, RawTables

Labels = npt.NDArray[np.int64]


def encode(tables: RawTables) -> tuple[Labels, Labels | None, list[str]]:
    """Integer labels of train and test, and the class names.

    Strings are numbered in sorted order over both splits, or as in ``class_names`` where given.

    Raises:
        UserError: No rows, or a label that is missing, negative, fractional or beyond the names.
    """
    splits = [tables.train] + ([tables.test] if tables.test else [])
    for table in splits:
        if len(table.labels) == 0:
            raise UserError(f"{table.where} is empty: it must hold at least one labelled image.")
    names = tables.class_names
    if any(table.labels.dtype.kind in "USO" for table in splits):
        names = names or sorted({str(name) for table in splits for name in np.unique(table.labels)})
        encoded = [_by_name(table, names) for table in splits]
    else:
        encoded = [_integers(table) for table in splits]
    known = len(names) if names else _num_classes(encoded, splits)
    for labels, table in zip(encoded, splits, strict=True):
        _check(labels >= known, labels, table, f"there are only {known} classes, 0 .. {known - 1}")
    return (
        encoded[0],
        encoded[1] if tables.test else None,
        list(names) if names else [str(label) for label in range(known)],
    )


def _by_name(table: RawTable, names: list[str]) -> Labels:
    number = {name: label for label, name in enumerate(names)}
    unique, inverse = np.unique(table.labels.astype(np.str_), return_inverse=True)
    unknown = [str(name) for name in unique if str(name) not in number]
    if unknown:
        raise UserError(
            f"{table.where} holds the label '{unknown[0]}', which is none of {', '.join(names)}."
        )
    return np.array([number[str(name)] for name in unique], dtype=np.int64)[inverse]


def _integers(table: RawTable) -> Labels:
    labels = table.labels
    if labels.dtype.kind == "f":
        bad = ~np.isfinite(labels) | (labels != np.floor(labels))
        _check(bad, labels, table, "labels must be whole numbers 0 .. K-1, or strings")
    elif labels.dtype.kind not in "iub":
        raise UserError(
            f"the labels of {table.where} are {labels.dtype}: they must be integers or strings."
        )
    found = labels.astype(np.int64)
    _check(
        found < 0, labels, table, "labels must be 0 or more (-1 often marks rows without a label)"
    )
    return found


def _num_classes(encoded: list[Labels], splits: list[RawTable]) -> int:
    """Largest label + 1. Beyond the number of rows, most classes would be empty: a wrong column."""
    highest = max(int(labels.max()) for labels in encoded)
    rows = sum(len(labels) for labels in encoded)
    if highest >= rows:
        raise UserError(
            f"{splits[0].where} holds the label {highest} in {rows} rows: integer labels must be "
            "0 .. K-1; check data.label, or store the labels as strings."
        )
    return highest + 1


def _check(bad: npt.NDArray[np.bool_], labels: Array, table: RawTable, rule: str) -> None:
    if bad.any():
        row = int(np.argmax(bad))
        value: Any = labels[row]
        raise UserError(f"{table.where} row {row} has the label {value}: {rule}.")
