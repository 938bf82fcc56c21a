"""Which columns a source must bring along, and what to say where one is absent."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from fedzda.platform.config import DataConfig, TargetConfig


def partition_columns(config: DataConfig, *present: str) -> list[str]:
    """The column that the partitioner reads, unless the source brings it anyway.

    A partitioner names it ``column`` in its configuration (natural ids, a property), a user's own
    one (``target``) in its ``args``.
    """
    block = config.partition
    if isinstance(block, TargetConfig):
        column = block.args.get("column")
    else:
        column = getattr(block, "column", None)
    return [] if column is None or column in (*present, "label") else [column]


def further_columns(config: DataConfig, *present: str) -> dict[str, str]:
    """All columns beside images and labels, each with the configuration key that asks for it."""
    found = dict.fromkeys(partition_columns(config, *present), "data.partition.column")
    for key in ("attribute", "group"):
        column = getattr(config, key)
        if column is not None and column not in (*present, "label"):
            found.setdefault(column, f"data.{key}")
    return found


def absent(key: str, name: str, known: Iterable[str], where: str) -> str:
    """The sentence for a column that is not there, with the nearest name that is."""
    names = list(known)
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f" Did you mean '{near[0]}'?" if near else ""
    has = f"It has: {', '.join(names)}." if names else "It has none that can stand here."
    return f"{key} is '{name}', but {where} has no such column.{hint} {has}"
