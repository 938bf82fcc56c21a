"""Availability traces in FedScale's layout, as JSON or CSV.

FedScale (Lai et al., 2022, arXiv 2105.11367) keeps for every client of its trace a mapping with
``active`` and ``inactive`` (seconds at which windows open and close), ``finish_time`` (length of
the trace, after which it begins again), ``duration`` (sum of all windows) and ``model`` (name of
the phone). Its own file is a pickle, which can run any code when it is read, so it is not read
here: json.dump of the same mapping is.
"""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import numpy as np

from fedzda.base import UserError
from fedzda.platform.data.apportion import Ints
from fedzda.platform.data.sources.paths import resolve
from fedzda.platform.devices.availability import Times, Trace

_KEY = "devices.profiles.availability.path"
_CSV_COLUMNS = ("client", "active", "inactive", "finish_time")
_CONVERT = (
    "json.dump({str(k): v for k, v in trace.items()}, open('trace.json', 'w')) writes it as JSON "
    "from a Python that has loaded it"
)


def read_trace(text: str, folder: Path, entry: Ints) -> Trace:
    """The windows of a trace file.

    Args:
        text: The path as the user wrote it.
        folder: Where a relative path starts.
        entry: ``(num_clients,)`` rank of each client among those that use the trace; client of rank
            r has entry r modulo the number of entries.

    Raises:
        UserError: The file is missing, is a pickle or anything else, or an entry is impossible.
    """
    path = resolve(text, folder, _KEY)
    if not path.is_file():
        raise UserError(f"{_KEY} is '{text}', which is a folder. Name a JSON or CSV file.")
    entries = _csv(path) if path.suffix.lower() == ".csv" else _json(path)
    if not entries:
        raise UserError(f"trace '{path}' has no entry. It needs at least one client.")
    windows = [_windows(path, name, found) for name, found in entries.items()]
    starts, ends, periods = zip(*windows, strict=True)
    return Trace(list(starts), list(ends), np.array(periods), entry % len(entries))


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8-sig"))  # with Windows' mark or without
    except (UnicodeDecodeError, ValueError):
        raise UserError(
            f"trace '{path}' is not readable JSON. FedScale's own file is a pickle, which is never "
            f"opened here because it can run any code: {_CONVERT}."
        ) from None
    if not isinstance(found, dict):
        raise UserError(
            f"trace '{path}' should be a mapping of client ids to windows, found a "
            f"{type(found).__name__}."
        )
    return found


def _csv(path: Path) -> dict[str, Any]:
    """One row per window; the rows of a client need not stand together."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(
            f"trace '{path}' is no text in UTF-8 (byte {error.start + 1}: {error.reason}). Save it "
            "as CSV in UTF-8."
        ) from None
    with io.StringIO(text, newline="") as file:
        rows = csv.DictReader(file)
        missing = [name for name in _CSV_COLUMNS if name not in (rows.fieldnames or ())]
        if missing:
            raise UserError(
                f"trace '{path}' lacks the column '{missing[0]}'. A row is a window, with the "
                f"columns {', '.join(_CSV_COLUMNS)}."
            )
        entries: dict[str, Any] = {}
        for row in rows:
            own = entries.setdefault(row["client"], {"active": [], "inactive": []})
            own["active"].append(row["active"])
            own["inactive"].append(row["inactive"])
            own["finish_time"] = row["finish_time"]
    return entries


def _windows(path: Path, name: str, found: Any) -> tuple[Times, Times, float]:
    """Starts, ends and period of one entry, checked."""

    def wrong(what: str) -> UserError:
        return UserError(
            f"trace '{path}', client '{name}': {what}. An entry needs 'active' and 'inactive' of "
            "equal length, ascending and in turn, and a 'finish_time' not before the last one."
        )

    try:
        starts = np.array(found["active"], dtype=np.float64)
        ends = np.array(found["inactive"], dtype=np.float64)
        period = float(found["finish_time"])
    except (KeyError, TypeError, ValueError) as error:
        raise wrong(f"it cannot be read ({type(error).__name__}: {error})") from None
    if starts.ndim != 1 or starts.shape != ends.shape or not len(starts):
        raise wrong(f"it has {starts.size} times in 'active' and {ends.size} in 'inactive'")
    turns = np.stack([starts, ends], axis=1).ravel()
    if not np.isfinite([*turns, period]).all() or turns[0] < 0 or (np.diff(turns) < 0).any():
        raise wrong("its times are not ascending numbers from 0 on")
    if period < turns[-1] or period <= 0:
        raise wrong(f"'finish_time' is {period:g}, its last time is {turns[-1]:g}")
    return starts, ends, period
