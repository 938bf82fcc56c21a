"""The long table: one row per (round, phase, client, split, stage, metric)."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from fedzda.platform.engines.calls import Call
from fedzda.platform.engines.grid import Exchange
from fedzda.platform.files import replacing
from fedzda.platform.groups import Groups

SCHEMA = pa.schema(
    [
        ("round", pa.int32()),
        ("phase", pa.string()),
        ("client", pa.int64()),
        ("split", pa.string()),
        ("stage", pa.string()),
        ("metric", pa.string()),
        ("value", pa.float64()),
        ("num_examples", pa.int64()),
        ("device", pa.string()),
        ("variant", pa.string()),
        ("group", pa.string()),
        ("seconds", pa.float64()),
        ("bytes_down", pa.int64()),
        ("bytes_up", pa.int64()),
    ]
)


class Recorder:
    """Collects rows of a round and writes them as one Parquet part per call of :meth:`flush`.

    Args:
        folder: ``clients/`` of the run folder.
        groups: Groups that clients belong to, if they are compared.
    """

    def __init__(self, folder: Path, groups: Groups | None = None) -> None:
        self.folder = folder
        self.groups = groups
        folder.mkdir(parents=True, exist_ok=True)
        self.rows: list[tuple[Any, ...]] = []
        self.evaluated: dict[tuple[str, str, str], tuple[np.ndarray, np.ndarray]] = {}
        self.bytes = {"down": 0, "up": 0}
        self.sampled = self.done = self.failed = 0

    def observe(self, exchange: Exchange) -> None:
        """Take down every reply of an exchange (an :class:`EngineGrid` observer)."""
        values: dict[tuple[str, str, str], list[tuple[float, int]]] = {}
        if exchange.phase.startswith("train"):
            self.sampled += len(exchange.calls)
        for index, reply in enumerate(exchange.replies):
            down, up = exchange.bytes_down[index], exchange.bytes_up[index]
            self.bytes["down"] += down
            self.bytes["up"] += up
            if reply.error:
                self.failed += 1
                continue
            self.done += exchange.phase.startswith("train")
            metrics = next(iter(reply.content.metrics.values()), {})
            size = int(metrics.get("num-examples", 0))
            cost = (reply.seconds, down, up)
            for metric, value in flatten({**metrics, **reply.details}):
                if exchange.phase == "evaluate" and not size:
                    value = math.nan
                self._row(exchange, index, metric, value, size, cost)
                if exchange.phase == "evaluate" and "/" not in metric:
                    stage = _stage(exchange.calls[index])
                    values.setdefault((stage, reply.split, metric), []).append((value, size))
        for key, pairs in values.items():
            table = np.array(pairs, dtype=np.float64)
            self.evaluated[key] = (table[:, 0], table[:, 1])

    def _row(
        self,
        exchange: Exchange,
        index: int,
        metric: str,
        value: float,
        size: int,
        cost: tuple[float, int, int],
    ) -> None:
        phase = exchange.phase.partition(".")[0]
        reply, stage = exchange.replies[index], _stage(exchange.calls[index])
        head = (exchange.round, phase, reply.client, reply.split, stage, metric, value, size)
        self.rows.append((*head, "uniform", "full", self._group(reply.client), *cost))

    def _group(self, client: int) -> str:
        return "" if self.groups is None else self.groups.names[self.groups.client[client]]

    def flush(self, round_: int) -> None:
        """Write the rows collected since the last call as the part of ``round_``."""
        if self.rows:
            columns = list(zip(*self.rows, strict=True))
            arrays = [pa.array(c, type=f.type) for c, f in zip(columns, SCHEMA, strict=True)]
            with replacing(self.folder / f"part-{round_:06d}.parquet") as temporary:
                pq.write_table(pa.Table.from_arrays(arrays, schema=SCHEMA), temporary)
        self.rows = []
        self.evaluated = {}
        self.bytes = {"down": 0, "up": 0}
        self.sampled = self.done = self.failed = 0

    def truncate(self, round_: int) -> None:
        """Drop parts of rounds after ``round_``, which a resumed run makes again."""
        for part in self.folder.glob("part-*.parquet"):
            if int(part.stem.partition("-")[2]) > round_:
                part.unlink()


def _stage(call: Call) -> str:
    """Which model the figures are of: the ``global`` one or the client's own, ``personalised``."""
    return str(call.content.config().get("stage", "global"))


def flatten(metrics: dict[str, Any]) -> list[tuple[str, float]]:
    """Scalars as they are, lists as ``name/<index>`` without their NaN entries."""
    flat: list[tuple[str, float]] = []
    for name, value in metrics.items():
        if name == "num-examples":
            continue
        if isinstance(value, list | tuple):
            flat += [(f"{name}/{i}", float(v)) for i, v in enumerate(value) if not math.isnan(v)]
        else:
            flat.append((name, float(value)))
    return flat


def read_clients(folder: Path) -> Any:
    """The whole client table as a data frame."""
    import pandas as pd

    parts = sorted(folder.glob("part-*.parquet"))
    if not parts:
        return SCHEMA.empty_table().to_pandas()
    return pd.concat([pq.read_table(part).to_pandas() for part in parts], ignore_index=True)
