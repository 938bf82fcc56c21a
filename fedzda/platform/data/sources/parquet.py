"""Parquet files in the layout of hub data sets: images with labels, annotations, or clean ones."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from fedzda.base import UserError
from fedzda.platform.data.sources.arrow import PictureColumns, raw_table
from fedzda.platform.data.sources.config import ParquetConfig
from fedzda.platform.data.sources.paths import resolve, stamps
from fedzda.platform.data.sources.raw import UNLABELLED, Annotations, RawData, RawTables
from fedzda.platform.data.wanted import further_columns

_ROWS = 256
"""Encoded images held in memory at once."""


def load(config: ParquetConfig, base_folder: Path) -> RawData:
    """One file is a training pool; a folder holds ``train*.parquet`` and maybe ``test*.parquet``.

    Class names come from the hub's metadata in the file, where it has any.

    Raises:
        UserError: Nothing at the path, no training files, an unset variable in the path, or
            columns of pictures that do not go together.
    """
    train_files, test_files = _files(resolve(config.path, base_folder))
    pictures = _pictures(config)
    label = None if config.noisy is not None else config.label

    def read() -> RawTables:
        train = ParquetFiles(train_files)
        names = further_columns(config, *([] if label is None else [label]))
        known = train.class_names(label) if label is not None else [UNLABELLED]
        return RawTables(
            raw_table(train, pictures, label, names),
            raw_table(ParquetFiles(test_files), pictures, label, {}) if test_files else None,
            class_names=config.class_names or known,
            size=config.size,
            channels=config.channels,
            annotations=Annotations(tuple(config.void)) if config.annotation else None,
        )

    return RawData(["train", *stamps(train_files), "test", *stamps(test_files)], read)


def _pictures(config: ParquetConfig) -> PictureColumns:
    """The columns of pictures; noisy images take the place of the images."""
    if config.noisy is None and config.clean is None:
        return PictureColumns(config.image, config.annotation)
    if config.noisy is None:
        raise UserError(
            f"data.clean is '{config.clean}', but data.noisy names no column: name the column of "
            "the noisy images; clean images alone are data.image."
        )
    if config.clean is None or config.annotation is not None:
        raise UserError(
            f"data.noisy is '{config.noisy}', which goes with data.clean and without "
            "data.annotation: name the column of the clean images, and leave the other out."
        )
    if config.clean == config.noisy:
        raise UserError(
            f"data.noisy and data.clean are both '{config.clean}': name the column of the clean "
            "images in data.clean."
        )
    return PictureColumns(config.noisy, None, config.clean, image_key="data.noisy")


class ParquetFiles:
    """Several files of one schema, read as one table."""

    def __init__(self, files: list[Path]) -> None:
        self.files = files
        self.where = (
            files[0].name if len(files) == 1 else f"{files[0].name} and {len(files) - 1} more"
        )

    def types(self) -> dict[str, Any]:
        """Arrow type of each column of the first file."""
        schema = self._open(self.files[0]).schema_arrow
        return dict(zip(schema.names, schema.types, strict=True))

    def class_names(self, label: str) -> list[str] | None:
        """Names that a hub data set stores for its ``ClassLabel`` column."""
        metadata = self._open(self.files[0]).schema_arrow.metadata or {}
        info = json.loads(metadata.get(b"huggingface", b"{}"))
        names: list[str] | None = (
            info.get("info", {}).get("features", {}).get(label, {}).get("names")
        )
        return names

    def rows(self) -> int:
        """Number of rows of all files."""
        return sum(self._open(file).metadata.num_rows for file in self.files)

    def column(self, name: str) -> Any:
        """One column of all files, in memory."""
        import pyarrow as pa

        pieces = [
            _reading(file, lambda file=file: self._open(file).read([name])) for file in self.files
        ]
        return pa.concat_tables(pieces).column(name)

    def batches(self, name: str) -> Iterator[tuple[str, int, Any]]:
        """One column, some hundred rows at a time."""
        for file in self.files:
            first = 0
            pieces = self._open(file).iter_batches(_ROWS, columns=[name])
            while (piece := _reading(file, lambda pieces=pieces: next(pieces, None))) is not None:
                yield file.name, first, piece.column(0)
                first += len(piece)

    def _open(self, file: Path) -> Any:
        import pyarrow.parquet as pq

        return _reading(file, lambda: pq.ParquetFile(file))


def _reading(file: Path, action: Any) -> Any:
    """Run a reader; damage and missing rights become the user's error, with the file's name."""
    import pyarrow as pa

    try:
        return action()
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"{file} cannot be read as Parquet: {error}") from error


def _files(path: Path) -> tuple[list[Path], list[Path]]:
    if path.is_file():
        return [path], []
    for folder in (path, path / "data"):
        train = sorted(folder.glob("train*.parquet"))
        if train:
            return train, sorted(folder.glob("test*.parquet"))
    raise UserError(
        f"data.path is the folder {path}, which holds no train*.parquet: "
        "name the file itself, or the folder of the training files."
    )
