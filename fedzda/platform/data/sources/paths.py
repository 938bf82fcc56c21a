"""Paths as users write them, and the identity of files."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

from fedzda.base import UserError

_VARIABLE = re.compile(r"\$\{(\w+)\}|\$(\w+)")


def resolve(text: str, base_folder: Path, key: str = "data.path") -> Path:
    """Expand ``~`` and ``${NAME}``; a relative path starts at ``base_folder``.

    Raises:
        UserError: A variable is unset, or nothing lies at the path.
    """
    for match in _VARIABLE.finditer(text):
        name = match[1] or match[2]
        if name not in os.environ:
            raise UserError(
                f"{key} is '{text}', but the environment variable {name} is not set: "
                f"export {name}=/folder/of/the/data, or write the path out."
            )
    path = base_folder / Path(os.path.expandvars(text)).expanduser()
    if not path.exists():
        raise UserError(f"{key} is '{text}', but there is no file or folder at {path}.")
    return path


def stamp(path: Path, name: str | None = None) -> str:
    """Text that changes when the file does: its path (or ``name``), size and time of change."""
    status = path.stat()
    return f"{name or path.resolve()}|{status.st_size}|{status.st_mtime_ns}"


def stamps(paths: Iterable[Path]) -> list[str]:
    """The stamp of each path, in the order given."""
    return [stamp(path) for path in paths]
