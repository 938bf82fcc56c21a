"""Folders of result files: those of a sweep, and those that a study keeps, one JSON object each."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fedzda.platform.dashboard.guard import leads_out

MAX_DEPTH = 4
"""How many folders deep result files are looked for."""
MAX_FILE_BYTES = 4_000_000
"""Larger files are no results."""


@dataclass
class ResultSet:
    """The result files of one sweep or study.

    Attributes:
        name: Its folder as it is shown and named in addresses.
        sweep: Whether they were written by ``fedzda sweep``.
        results: File name without ending (with folders below the set's own) to content.
        skipped: How many files could not be read as a JSON object.
    """

    name: str
    sweep: bool
    results: dict[str, dict[str, Any]] = field(default_factory=dict)
    skipped: int = 0


def result_sets(folders: Sequence[Path]) -> dict[str, ResultSet]:
    """All sets in some folders, by name.

    A sweep keeps the files of its axes in folders of their own: they are one set. Any other folder
    with result files is a set of its own, and so are other files in the folder of a sweep. Links
    to outside are not followed.
    """
    found: dict[tuple[str, bool], ResultSet] = {}
    damaged: list[tuple[str, ...]] = []
    for root, called in _names([folder.resolve() for folder in folders]).items():
        for path in _files(root, root, 1):
            content = _content(path)
            if content is None:
                damaged.append((called, *path.parent.relative_to(root).parts))
                continue
            sweep = _is_cell(content)
            home = _home(path, content, root) if sweep else path.parent
            name = "/".join([called, *home.relative_to(root).parts])
            own = found.setdefault((name, sweep), ResultSet(name, sweep))
            own.results[path.relative_to(home).with_suffix("").as_posix()] = content
    for parts in damaged:
        _skip(parts, found)
    for (name, sweep), own in found.items():
        if not sweep and (name, True) in found:
            own.name = f"{name} (other files)"
    return {each.name: each for each in found.values()}


def _names(roots: Sequence[Path]) -> dict[Path, str]:
    """Each root's own name, with as many folders above it as tell it from the others."""
    each = dict.fromkeys(roots)
    return {
        root: next(
            "/".join(root.parts[-depth:])
            for depth in range(1, len(root.parts) + 1)
            if sum(root.parts[-depth:] == other.parts[-depth:] for other in each) == 1
        )
        for root in each
    }


def _skip(parts: tuple[str, ...], found: dict[tuple[str, bool], ResultSet]) -> None:
    """Count a damaged file in a folder: with the others there, or in the sweep around it."""
    above = ["/".join(parts[:depth]) for depth in range(len(parts), 0, -1)]
    for key in ((above[0], True), (above[0], False), *((name, True) for name in above[1:])):
        if key in found:
            found[key].skipped += 1
            return


def _files(folder: Path, root: Path, depth: int) -> Iterator[Path]:
    try:
        with os.scandir(folder) as listing:
            entries = sorted(listing, key=lambda entry: entry.name)
    except OSError:
        return
    for entry in entries:
        path = Path(entry.path)
        if not entry.name.isprintable() or (entry.is_symlink() and leads_out(path, root)):
            continue
        if entry.is_dir(follow_symlinks=False) and depth < MAX_DEPTH:
            yield from _files(path, root, depth + 1)
        elif entry.name.endswith(".json") and entry.is_file():
            yield path


def _content(path: Path) -> dict[str, Any] | None:
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            return None
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _is_cell(content: dict[str, Any]) -> bool:
    """Whether it is what a sweep keeps of a finished cell."""
    return (
        isinstance(content.get("cell"), dict)
        and isinstance(content.get("figures"), dict)
        and isinstance(content.get("seed"), int)
    )


def _home(path: Path, content: dict[str, Any], root: Path) -> Path:
    """The folder of the whole sweep: above those that are named by the values of its axes."""
    words = {re.sub(r"[^A-Za-z0-9._-]+", "_", str(v)).strip("_") for v in content["cell"].values()}
    home = path.parent
    while home != root and home.name in words:
        home = home.parent
    return home
