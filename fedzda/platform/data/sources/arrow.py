"""Arrow columns, as Parquet files and hub data sets have them, to raw tables."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from fedzda.base import UserError
from fedzda.platform.data.sources.raw import Array, RawImage, RawTable
from fedzda.platform.data.wanted import absent


class ArrowTable(Protocol):
    """Rows that can be read column by column."""

    where: str
    """Name in error messages."""

    def types(self) -> dict[str, Any]:
        """Arrow type of each column."""
        ...

    def rows(self) -> int:
        """Number of rows."""
        ...

    def column(self, name: str) -> Any:
        """One column in memory, as a chunked array."""
        ...

    def batches(self, name: str) -> Iterator[tuple[str, int, Any]]:
        """One column piece by piece: (file or split, first row in it, array)."""
        ...


class PictureColumns(NamedTuple):
    """Names of the columns that hold pictures; ``annotation`` and ``clean`` may be missing."""

    image: str
    annotation: str | None = None
    clean: str | None = None
    image_key: str = "data.image"
    """Configuration key that names the first one."""

    def keys(self) -> dict[str, str]:
        """Column to the key that names it."""
        found = {self.image: self.image_key}
        for key, name in (("data.annotation", self.annotation), ("data.clean", self.clean)):
            if name is not None:
                found.setdefault(name, key)
        return found


def raw_table(
    table: ArrowTable, pictures: PictureColumns, label: str | None, columns: Mapping[str, str]
) -> RawTable:
    """A table of encoded images with labels and further columns (name to the key asking for it).

    With an annotation column, or without the name of a label column, labels are not read.

    Raises:
        UserError: A column is missing (all of them are named) or holds something else.
    """
    types = table.types()
    wanted = [(key, name) for name, key in pictures.keys().items()]
    labelled = label is not None and pictures.annotation is None
    wanted += [("data.label", str(label))] if labelled else []
    wanted += [(key, name) for name, key in columns.items()]
    missing = [absent(key, name, types, table.where) for key, name in wanted if name not in types]
    if missing:
        raise UserError(*missing)
    for name, key in pictures.keys().items():
        _check_image_type(key, name, types[name], table.where)
    return RawTable(
        images=lambda: _images(table, pictures.image),
        labels=_to_numpy(table, str(label)) if labelled else np.zeros(table.rows(), dtype=np.int64),
        columns={name: _to_numpy(table, name) for name in columns},
        where=table.where,
        annotations=_reader(table, pictures.annotation),
        clean=_reader(table, pictures.clean),
    )


def _reader(table: ArrowTable, name: str | None) -> Callable[[], Iterator[RawImage]] | None:
    return None if name is None else lambda: _images(table, name)


def _check_image_type(key: str, name: str, kind: Any, where: str) -> None:
    import pyarrow.types as kinds

    is_struct = kinds.is_struct(kind) and kind.get_field_index("bytes") >= 0
    if not (is_struct or kinds.is_binary(kind) or kinds.is_large_binary(kind)):
        raise UserError(
            f"{key} is '{name}', a column of {kind} in {where}: images must be bytes, "
            "or a struct of bytes and path."
        )


def _images(table: ArrowTable, name: str) -> Iterator[RawImage]:
    for where, first, array in table.batches(name):
        for row, value in enumerate(array.to_pylist(), start=first):
            place = f"{where} row {row}"
            if isinstance(value, dict):
                path = value.get("path")
                value = value["bytes"] or (Path(path) if path else None)
            if value is None:
                raise UserError(f"the {name} in {place} is missing: remove the row or fill it.")
            yield RawImage(place, value)


def _to_numpy(table: ArrowTable, name: str) -> Array:
    import pyarrow.types as kinds

    column = table.column(name)
    if kinds.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if column.null_count:
        row = column.is_null().to_pylist().index(True)
        raise UserError(
            f"column '{name}' of {table.where} is empty in row {row}: remove the row or fill it."
        )
    if kinds.is_string(column.type) or kinds.is_large_string(column.type):
        return np.array(column.to_pylist(), dtype=np.str_)
    if (
        kinds.is_integer(column.type)
        or kinds.is_floating(column.type)
        or kinds.is_boolean(column.type)
    ):
        found: Array = column.to_numpy()
        return found
    raise UserError(
        f"column '{name}' of {table.where} holds {column.type}: it must hold numbers or strings."
    )
