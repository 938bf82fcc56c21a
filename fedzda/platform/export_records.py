"""The records of a run as two tables in one file each, for spreadsheets, R or pandas."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from fedzda.platform.files import make_folder, replacing
from fedzda.platform.report.load import client_table
from fedzda.platform.runs import Run, load

Format = Literal["csv", "parquet"]


def export_records(run_dir: Path, folder: Path, kind: Format = "csv") -> list[Path]:
    """Write ``clients`` and ``rounds``; files of these names are replaced.

    ``clients`` has the columns of the client table, a row per (round, phase, client, split, stage,
    metric), and is never in memory as a whole. ``rounds`` has a row per round with nested figures
    as dotted columns, such as ``metrics.accuracy.worst10``.

    Args:
        run_dir: A run folder, finished or not.
        folder: Where to write; made if it is not there.
        kind: ``csv`` (with a header, an undefined value is empty,
            a list is JSON) or ``parquet``.

    Returns:
        The files.

    Raises:
        UserError: ``run_dir`` is no run folder, one of its files is damaged, or ``folder`` cannot
            be one.
    """
    run = load(run_dir)
    make_folder(folder, "--out")
    paths = [folder / f"{name}.{kind}" for name in ("clients", "rounds")]
    _write(paths[0], kind, *_clients(run))
    rounds = _rounds(run, kind)
    _write(paths[1], kind, rounds.schema, iter(rounds.to_batches()))
    return paths


def _clients(run: Run) -> tuple[pa.Schema, Iterator[Any]]:
    from fedzda.platform.recorder import SCHEMA

    table = client_table(run.path)
    if table is None:
        return SCHEMA, iter(())
    return table.schema, table.to_batches()


def _rounds(run: Run, kind: Format) -> pa.Table:
    rows = run.rounds
    if rows.empty:
        return pa.table({"round": pa.array([], pa.int64())})
    for name in rows.columns if kind == "csv" else ():
        listed = rows[name].map(lambda value: isinstance(value, list))
        if listed.any():
            rows[name] = rows[name].map(json.dumps).where(listed, None)
    return pa.Table.from_pandas(rows, preserve_index=False).replace_schema_metadata(None)


def _write(path: Path, kind: Format, schema: pa.Schema, batches: Iterator[Any]) -> None:
    with replacing(path) as temporary, _writer(temporary, kind, schema) as writer:
        for batch in batches:
            writer.write_batch(batch)


@contextmanager
def _writer(path: Path, kind: Format, schema: pa.Schema) -> Iterator[Any]:
    make = pa_csv.CSVWriter if kind == "csv" else pq.ParquetWriter
    with make(path, schema) as writer:
        yield writer
