"""Reads a run folder: the only place that knows its file names and columns.

Everything is read with filters and projections, so that the long client table (up to millions of
rows) is never in memory as a whole.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
import yaml
from numpy.typing import NDArray

from fedzda.base import UserError
from fedzda.platform.files import holds_runs, read_json_lines

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class RunFiles:
    """The small files of a run. Files that are not there yet are empty.

    Attributes:
        path: The folder.
        config: ``config.yaml``.
        summary: ``summary.json``.
        status: ``status.json``.
        meta: ``meta.json``.
        rounds: ``rounds.jsonl``, one mapping per round.
    """

    path: Path
    config: dict[str, Any]
    summary: dict[str, Any]
    status: dict[str, Any]
    meta: dict[str, Any]
    rounds: list[dict[str, Any]]

    @property
    def state(self) -> str:
        """``finished``, or what ``status.json`` says, or ``unknown``."""
        return str(self.summary.get("state") or self.status.get("state") or "unknown")

    @property
    def done(self) -> int:
        """Rounds that trained; round 0 of a run without any only tests the model."""
        return sum(row.get("round") != 0 for row in self.rounds)

    @property
    def higher_is_better(self) -> dict[str, bool]:
        """The direction of metrics, as far as the run wrote it down; of others the name tells."""
        found = self.summary.get("higher_is_better")
        return found if isinstance(found, dict) else {}


@dataclass(frozen=True)
class ClientValues:
    """One metric of every client in one round, by ascending client id.

    Attributes:
        round: The round.
        client: ``(N,)`` client ids.
        value: ``(N,)`` values, NaN where undefined.
        num_examples: ``(N,)`` samples behind a value.
        device: ``(N,)`` device names.
    """

    round: int
    client: Ints
    value: Floats
    num_examples: Ints
    device: NDArray[np.str_]


def read_run(path: Path) -> RunFiles:
    """The small files of a run folder. Raises :class:`UserError` if ``path`` is none."""
    if not path.is_dir() or not (path / "config.yaml").is_file():
        if around := holds_runs(path):
            raise UserError(f"{around}. Name one of them, or compare all: fedzda compare {path}/*")
        what = "is not a folder" if not path.is_dir() else "has no config.yaml"
        raise UserError(
            f"run folder '{path}' {what}: give the folder that 'fedzda run' printed, "
            "such as runs/<time>_<name>_s<seed>_<hash>."
        )
    try:
        config = load_yaml((path / "config.yaml").read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"'{path / 'config.yaml'}' is not readable YAML: {error}.") from error
    return RunFiles(
        path=path,
        config=config if isinstance(config, dict) else {},
        summary=_json(path / "summary.json"),
        status=_json(path / "status.json"),
        meta=_json(path / "meta.json"),
        rounds=read_json_lines(path / "rounds.jsonl"),
    )


def load_yaml(text: str) -> Any:
    """Plain YAML, by the parser in C where PyYAML has it: ten times as fast."""
    return yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506


def _json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"'{path}' is not readable JSON: {error}.") from error
    return found if isinstance(found, dict) else {}


# ---------------------------------------------------------------------------------------------
# The client table


def part_files(path: Path) -> list[Path]:
    """Files of the client table, one per round, by ascending round."""
    return sorted((path / "clients").glob("part-*.parquet"))


def client_table(path: Path, round_: int | None = None) -> ds.Dataset | None:
    """The client table, or the file of one round of it; None if there is none.

    Raises :class:`UserError` for a damaged file.
    """
    files = part_files(path)
    own = [file for file in files if file.stem == f"part-{round_:06d}"] if round_ else []
    return _dataset(own or files) if files else None


def _dataset(files: list[Path]) -> ds.Dataset:
    for file in files:  # the tail of a Parquet file is its index: cheap to check, and named
        with file.open("rb") as handle:
            handle.seek(-min(4, file.stat().st_size), 2)
            if handle.read() != b"PAR1":
                raise UserError(f"'{file}' is not a complete Parquet file: restore or remove it.")
    return ds.dataset([str(file) for file in files], format="parquet")


def _tested(table: ds.Dataset, stage: str = "global") -> pc.Expression:
    """Rows of a stage on the clients' test splits; of the other one if there are none."""
    tested = (pc.field("phase") == "evaluate") & (pc.field("split") == "test")
    wanted = tested & (pc.field("stage") == stage)
    return wanted if table.head(1, columns=["round"], filter=wanted).num_rows else tested


def last_round(path: Path, metric: str) -> int | None:
    """The last round in which ``metric`` of the global model was evaluated on test splits.

    Files are read from the newest backwards, so that a long run costs no more than a short one.
    """
    for file in reversed(part_files(path)):
        table = _dataset([file])
        rounds = table.to_table(
            columns=["round"], filter=_tested(table) & (pc.field("metric") == metric)
        )["round"]
        found = pc.max(rounds).as_py()
        if found is not None:
            return int(found)
    return None


def client_values(path: Path, metric: str, *, own: bool = False) -> ClientValues | None:
    """``metric`` on the clients' test splits in the last evaluated round.

    Of the global model if there is one; with ``own`` of the clients' own models if there are any.
    """
    last = last_round(path, metric)
    table = None if last is None else client_table(path, last)
    if table is None or last is None:
        return None
    tested = _tested(table, "personalised" if own else "global")
    found = table.to_table(
        columns=["client", "value", "num_examples", "device"],
        filter=tested & (pc.field("metric") == metric) & (pc.field("round") == last),
    ).sort_by("client")
    return ClientValues(
        round=last,
        client=_ints(found["client"]),
        value=found["value"].to_numpy().astype(np.float64),
        num_examples=_ints(found["num_examples"]),
        device=np.asarray(found["device"].fill_null("").to_pylist(), dtype=np.str_),
    )


def recalls(path: Path, round_: int, clients: Ints, classes: Sequence[int]) -> Floats:
    """Recall ``(classes, clients)`` on test splits, NaN where a client lacks the class."""
    found = np.full((len(classes), clients.size), np.nan)
    table = client_table(path, round_)
    if table is None:
        return found
    row = {f"recall/{label}": i for i, label in enumerate(classes)}
    column = {int(client): i for i, client in enumerate(clients)}
    rows = table.to_table(
        columns=["client", "metric", "value"],
        filter=_tested(table)
        & pc.field("metric").isin(list(row))
        & (pc.field("round") == round_)
        & pc.field("client").isin(pa.array(clients)),
    )
    for client, metric, value in zip(
        *(rows[name].to_pylist() for name in ("client", "metric", "value")), strict=True
    ):
        found[row[metric], column[client]] = value
    return found


def class_recalls(path: Path, round_: int) -> dict[int, tuple[float, int]]:
    """Per class: mean recall over the clients that hold it in their test split, and how many do."""
    table = client_table(path, round_)
    if table is None:
        return {}
    rows = table.to_table(
        columns=["metric", "value"],
        filter=_tested(table)
        & (pc.field("round") == round_)
        & pc.starts_with(pc.field("metric").cast(pa.string()), "recall/"),
    )
    grouped = rows.group_by("metric").aggregate([("value", "mean"), ("value", "count")])
    found = {
        int(metric.removeprefix("recall/")): (float(mean), int(count))
        for metric, mean, count in zip(
            *(grouped[name].to_pylist() for name in ("metric", "value_mean", "value_count")),
            strict=True,
        )
    }
    return dict(sorted(found.items()))


def client_costs(path: Path, clients: Ints) -> tuple[Floats, Floats]:
    """Seconds that each client trained and bytes that it moved for it, over all rounds, ``(N,)``.

    A client that never trained has 0 of both.
    """
    seconds, moved = np.zeros(clients.size), np.zeros(clients.size)
    table = client_table(path)
    if table is None:
        return seconds, moved
    rows = table.to_table(
        columns=["round", "client", "seconds", "bytes_down", "bytes_up"],
        filter=(pc.field("phase") == "train") & pc.field("client").isin(pa.array(clients)),
    )
    # every metric of a reply repeats what the reply cost
    once = rows.group_by(["round", "client"]).aggregate(
        [("seconds", "max"), ("bytes_down", "max"), ("bytes_up", "max")]
    )
    at = np.searchsorted(clients, _ints(once["client"]))
    np.add.at(seconds, at, once["seconds_max"].to_numpy())
    np.add.at(moved, at, once["bytes_down_max"].to_numpy() + once["bytes_up_max"].to_numpy())
    return seconds, moved


def _ints(column: pa.ChunkedArray) -> Ints:
    return np.asarray(column.fill_null(0).to_numpy(), dtype=np.int64)


# ---------------------------------------------------------------------------------------------
# Artifacts


def label_table(path: Path) -> ds.Dataset | None:
    """Samples by client, split and label, or None if the run has no label counts."""
    file = path / "artifacts" / "label_counts.parquet"
    return _dataset([file]) if file.is_file() else None


def train_sizes(path: Path, clients: Ints) -> Ints | None:
    """Training samples of each client, or None if the run has no label counts."""
    table = label_table(path)
    if table is None:
        return None
    rows = table.to_table(columns=["client", "count"], filter=pc.field("split") == "train")
    sums = rows.group_by("client").aggregate([("count", "sum")])
    owner, total = _ints(sums["client"]), _ints(sums["count_sum"])
    order = np.argsort(owner)
    at = np.searchsorted(owner, clients, sorter=order)
    at = order[np.minimum(at, max(owner.size - 1, 0))] if owner.size else at
    known = owner[at] == clients if owner.size else np.zeros(clients.size, dtype=bool)
    sizes = np.zeros(clients.size, dtype=np.int64)
    sizes[known] = total[at[known]]
    return sizes


def label_counts(path: Path, clients: Ints, classes: Sequence[int]) -> Ints | None:
    """Training samples ``(classes, clients)`` per label, or None if the run has no label counts."""
    table = label_table(path)
    if table is None:
        return None
    row = {label: i for i, label in enumerate(classes)}
    column = {int(client): i for i, client in enumerate(clients)}
    rows = table.to_table(
        columns=["client", "label", "count"],
        filter=(pc.field("split") == "train") & pc.field("client").isin(pa.array(clients)),
    )
    found = np.zeros((len(classes), clients.size), dtype=np.int64)
    for client, label, count in zip(
        *(rows[name].to_pylist() for name in ("client", "label", "count")), strict=True
    ):
        if label in row:
            found[row[label], column[client]] += count
    return found


def label_stock(path: Path, classes: Sequence[int]) -> Ints:
    """Training samples ``(classes,)`` per label of all clients together."""
    found = np.zeros(len(classes), dtype=np.int64)
    table = label_table(path)
    if table is not None:
        rows = table.to_table(columns=["label", "count"], filter=pc.field("split") == "train")
        sums = rows.group_by("label").aggregate([("count", "sum")])
        held = dict(zip(sums["label"].to_pylist(), sums["count_sum"].to_pylist(), strict=True))
        found[:] = [held.get(label, 0) for label in classes]
    return found


def clients_with_labels(path: Path) -> Ints:
    """All clients in the label counts, ascending."""
    table = label_table(path)
    if table is None:
        return np.empty(0, dtype=np.int64)
    owners = pc.unique(table.to_table(columns=["client"])["client"])
    return np.sort(np.asarray(owners.to_numpy(zero_copy_only=False), dtype=np.int64))


def labels_held(path: Path) -> list[int]:
    """All labels in the label counts, ascending."""
    table = label_table(path)
    if table is None:
        return []
    return sorted(int(x) for x in pc.unique(table.to_table(columns=["label"])["label"]).to_pylist())


def artifact(path: Path, name: str) -> dict[str, Any]:
    """A JSON artifact of a run; nothing if the run has none."""
    return _json(path / "artifacts" / name)


def class_names(path: Path) -> list[str]:
    """``artifacts/classes.json``, or nothing."""
    file = path / "artifacts" / "classes.json"
    if not file.is_file():
        return []
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"'{file}' is not readable JSON: {error}.") from error
    if not isinstance(found, list):
        return []
    # A JSON string may hold half a surrogate pair, which neither page nor figure can show.
    return [str(name).encode("utf-8", "replace").decode() for name in found]
