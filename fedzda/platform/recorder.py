"""The long table: one row per (round, phase, client, split, stage, metric)."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from fedzda.platform.devices.clock import Task
from fedzda.platform.devices.fleet import Fleet
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
        ("virtual_sec", pa.float64()),
        ("bytes_down", pa.int64()),
        ("bytes_up", pa.int64()),
    ]
)


class Recorder:
    """Collects rows of a round and writes them as one Parquet part per call of :meth:`flush`.

    Args:
        folder: ``clients/`` of the run folder.
        groups: Groups that clients belong to, if they are compared.
        fleet: The clients' devices; left out: all are ``uniform``.
    """

    def __init__(
        self, folder: Path, groups: Groups | None = None, fleet: Fleet | None = None
    ) -> None:
        self.folder = folder
        self.groups = groups
        self.fleet = fleet
        folder.mkdir(parents=True, exist_ok=True)
        self.rows: list[tuple[Any, ...]] = []
        self.evaluated: dict[tuple[str, str, str], tuple[np.ndarray, np.ndarray]] = {}
        self.bytes = {"down": 0, "up": 0}
        self.sampled = self.done = self.failed = 0
        self.lost: Counter[str] = Counter()

    def observe(self, exchange: Exchange) -> None:
        """Take down every reply of an exchange (an :class:`EngineGrid` observer)."""
        values: dict[tuple[str, str, str], list[tuple[float, int]]] = {}
        if exchange.phase.startswith("train"):
            self.sampled += len(exchange.calls) + len(exchange.lost)
        for task in exchange.lost:
            self._take_down_lost(exchange, task)
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
            cost = (reply.seconds, exchange.virtual_sec[index], down, up)
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
        cost: tuple[float, float | None, int, int],
    ) -> None:
        phase = exchange.phase.partition(".")[0]
        reply, stage = exchange.replies[index], _stage(exchange.calls[index])
        head = (exchange.round, phase, reply.client, reply.split, stage, metric, value, size)
        self.rows.append((*head, *self._who(reply.client), *cost))

    def _take_down_lost(self, exchange: Exchange, task: Task) -> None:
        """A row whose metric says how a client that was asked was lost."""
        self.lost[task.fate] += 1
        self.bytes["down"] += task.down
        head = (exchange.round, "train", task.client, "train", "global", task.fate, 1.0, 0)
        cost = (0.0, task.seconds, task.down, 0)
        self.rows.append((*head, *self._who(task.client), *cost))

    def _who(self, client: int) -> tuple[str, str, str]:
        """Device, variant and group of a client."""
        if self.fleet is None:
            return "uniform", "full", self._group(client)
        return self.fleet.name(client), self.fleet.variant(client), self._group(client)

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
        self.lost = Counter()

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
