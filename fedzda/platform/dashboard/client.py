"""Everything a run knows of one client."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow.compute as pc
import pyarrow.dataset as ds

from fedzda.platform.report import load

_COLUMNS = (
    *("round", "phase", "split", "stage", "metric", "value", "num_examples", "device", "variant"),
    *("seconds", "bytes_down", "bytes_up"),
)
_WORDS = ("phase", "split", "stage", "metric", "device", "variant")


@dataclass
class ClientStory:
    """One client of a run.

    Attributes:
        device: Its device in the last round that it was seen in.
        variant: The model that this device runs.
        history: Value of the run's metric on its test split by round, for each stage.
        recalls: Label to recall in the last evaluated round.
        trained: Rounds that it trained in, with seconds, bytes received and bytes sent.
        labels: Label to samples, for each split.
    """

    device: str = ""
    variant: str = ""
    history: dict[str, dict[int, float]] = field(default_factory=dict)
    recalls: dict[int, float] = field(default_factory=dict)
    trained: dict[int, tuple[float, int, int]] = field(default_factory=dict)
    labels: dict[str, dict[int, int]] = field(default_factory=dict)


def client_story(run: Path, client: int, metric: str) -> ClientStory:
    """Read the rows of one client; a story without history if it has none.

    Raises:
        UserError: A file of the client table is damaged.
    """
    story = ClientStory(labels=_labels(run, client))
    table = load.client_table(run)
    if table is None:
        return story
    known = [name for name in _COLUMNS if name in table.schema.names]
    words = ds.ParquetReadOptions(dictionary_columns=_WORDS)  # decoded once, not for every row
    table = ds.dataset(table.files, format=ds.ParquetFileFormat(read_options=words))
    rows = table.to_table(columns=known, filter=pc.field("client") == client).to_pylist()
    for row in sorted(rows, key=lambda each: each["round"]):
        story.device, story.variant = row.get("device") or "", row.get("variant") or ""
        if row["phase"] == "train" and row["num_examples"]:  # without any, its update was lost
            cost = (row["seconds"] or 0.0, row["bytes_down"] or 0, row["bytes_up"] or 0)
            story.trained[row["round"]] = cost
        elif row["split"] == "test":
            _take(story, row, metric)
    return story


def _take(story: ClientStory, row: dict[str, Any], metric: str) -> None:
    """A row of its evaluation; later rounds take the place of earlier ones."""
    name, stage = row["metric"], row["stage"]
    if name == metric:
        story.history.setdefault(stage, {})[row["round"]] = row["value"]
    elif name.startswith("recall/") and stage == next(iter(story.history), stage):
        story.recalls[int(name.removeprefix("recall/"))] = row["value"]


def _labels(run: Path, client: int) -> dict[str, dict[int, int]]:
    table = load.label_table(run)
    found: dict[str, dict[int, int]] = {}
    if table is not None:
        rows = table.to_table(filter=pc.field("client") == client).sort_by("label")
        for row in rows.to_pylist():
            found.setdefault(row["split"], {})[row["label"]] = row["count"]
    return found
