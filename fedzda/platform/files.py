"""Writing files so that a crash or a full disk leaves the old version, never half a new one."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fedzda.base import UserError

DISK_ERRORS = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS})
"""Error numbers of writing that say: the disk is full, or can be written no more."""


def make_folder(path: Path, key: str) -> None:
    """Make a folder, and those that it lies in.

    Args:
        path: The folder; it may be there already.
        key: What the user calls it, for the sentence.

    Raises:
        UserError: A file stands in the way, or no folder can be made there.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise UserError(
            f"{key} is '{path}', but a file stands there or on the way. Name a folder."
        ) from None
    except FileNotFoundError:  # /proc and its like
        raise UserError(f"{key} is '{path}', where no folder can be made. Name another.") from None


def holds_runs(folder: Path) -> str:
    """What to say of a folder that is no run folder and lies around some; empty if it does not."""
    if not folder.is_dir():
        return ""
    found = folder.glob("*/config.yaml")
    number = sum(1 for path in found if path.with_name("meta.json").is_file())
    if not number:
        return ""
    return f"'{folder}' holds {number} run folder{'s' if number > 1 else ''} and is none itself"


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary sibling to write to; it becomes ``path`` when the block ends well."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        sync(temporary)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Make sure that a file's content is on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_text(path: Path, text: str) -> None:
    """Replace a text file."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Replace a JSON file. NaN becomes null, which is what a reader of JSON expects."""
    write_text(path, json.dumps(_finite(value), indent=1, ensure_ascii=False) + "\n")


def read_json(path: Path) -> Any:
    """Read a JSON file."""
    return json.loads(path.read_text(encoding="utf-8"))


def json_line(value: Any) -> str:
    """One line of a JSONL file."""
    return json.dumps(_finite(value), ensure_ascii=False) + "\n"


def read_json_lines(path: Path) -> list[dict[str, Any]]:
    """Read a JSONL file, none if there is no file, but for half a last line: who wrote it is at
    work or was killed.

    Raises:
        UserError: Another line is no JSON.
    """
    if not path.is_file():
        return []
    lines = path.read_text(encoding="utf-8").splitlines()
    rows: list[dict[str, Any]] = []
    for number, line in enumerate(lines, 1):
        try:
            rows.append(json.loads(line))
        except ValueError as error:
            if number == len(lines):
                break
            raise UserError(f"'{path}:{number}' is not readable JSON: {error}.") from error
    return rows


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if isinstance(value, float) and not (-1e308 < value < 1e308):
        return None
    return value
