"""Result files of any study as one table: files that differ in the seed alone become one row."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from fedzda.platform.sweep.tables import Estimate, estimate

_SEED = re.compile(r"[-_]s\d+$")
_PROVENANCE = re.compile(
    r"(date|machine|commit|config|hash|fingerprint|fedzda|torch|versions)(\.|$)", re.ASCII
)
MAX_LIST = 4
"""Longer lists are curves, not figures, and left out."""


@dataclass
class StudyTable:
    """The figures of a study.

    Attributes:
        rows: Name of a row to its figures: an estimate over files, or a word.
        columns: Names of all figures that differ between files, most common first.
        common: Figures that all files share.
        files: Name of a row to the number of its files.
    """

    rows: dict[str, dict[str, Estimate | str]]
    columns: list[str]
    common: dict[str, str]
    files: dict[str, int]


def study_table(results: Mapping[str, dict[str, Any]]) -> StudyTable:
    """Gather the scalars of all files; what says where a result was made is left out."""
    flat = {name: flatten(content) for name, content in results.items()}
    keys = dict.fromkeys(key for found in flat.values() for key in found)
    seen = {key: {found.get(key) for found in flat.values()} for key in keys}
    common = {
        key: written(next(iter(values)))
        for key, values in seen.items()
        if len(values) == 1 and len(flat) > 1
    }
    groups: dict[str, list[dict[str, float | str]]] = {}
    for name, found in flat.items():
        groups.setdefault(_SEED.sub("", name), []).append(found)
    rows = {
        name: {
            key: value
            for key in keys
            if key not in common and key != "seed" and (value := _together(own, key)) is not None
        }
        for name, own in groups.items()
    }
    counts = {key: sum(key in row for row in rows.values()) for key in keys}
    columns = [key for key in sorted(keys, key=lambda k: -counts[k]) if counts[key]]
    common.pop("seed", None)
    return StudyTable(rows, columns, common, {name: len(own) for name, own in groups.items()})


def flatten(content: Mapping[str, Any], before: str = "") -> dict[str, float | str]:
    """Numbers and words by dotted key."""
    found: dict[str, float | str] = {}
    for name, value in content.items():
        key = f"{before}{name}"
        if _PROVENANCE.match(key):
            continue
        if isinstance(value, Mapping):
            found |= flatten(value, f"{key}.")
        elif isinstance(value, bool):
            found[key] = "yes" if value else "no"
        elif isinstance(value, int | float | str):
            found[key] = value
        elif isinstance(value, list) and 0 < len(value) <= MAX_LIST and all(map(_scalar, value)):
            found[key] = ", ".join(map(written, value))
    return found


def _scalar(value: Any) -> bool:
    return isinstance(value, int | float | str)


def _together(files: list[dict[str, float | str]], key: str) -> Estimate | str | None:
    """A figure of one row: an estimate of numbers, the words that occur, None without any."""
    values = [found[key] for found in files if key in found]
    numbers = [float(value) for value in values if not isinstance(value, str)]
    if numbers and len(numbers) == len(values):
        return estimate(numbers)
    return " / ".join(dict.fromkeys(written(value) for value in values)) or None


def written(value: float | str | None, digits: int = 4) -> str:
    """A number with some digits that count, a word as it is."""
    if isinstance(value, str) or value is None:
        return value or "–"
    if isinstance(value, int):
        return f"{value:,}"
    if value == 0 or not 1e-4 <= abs(value) < 1e7:
        return f"{value:.{digits}g}"
    return f"{float(f'{value:.{digits}g}'):,.10f}".rstrip("0").rstrip(".")
