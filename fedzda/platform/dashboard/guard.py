"""Nothing outside the folder of runs is read: links that lead out of it are refused."""

from __future__ import annotations

import os
from pathlib import Path

from fedzda.base import UserError

_INNER = ("clients", "artifacts")


def leads_out(path: Path, root: Path) -> bool:
    """Whether a path, links followed, lies outside ``root``, which has none left to follow."""
    try:
        return not path.resolve().is_relative_to(root)
    except (OSError, RuntimeError):  # a loop of links, or a folder that may not be looked into
        return True


def check_run(run: Path, root: Path) -> None:
    """Look at the files of a run before any of them is opened.

    Raises:
        UserError: One of them is a link to outside ``root``.
    """
    check_folder(run, root)
    for name in _INNER:
        if (run / name).is_dir():
            check_folder(run / name, root)


def check_folder(folder: Path, root: Path) -> None:
    """The same for one folder alone; a listing tells links apart without touching a file."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_symlink() and leads_out(Path(entry.path), root):
                raise UserError(
                    f"'{entry.name}' in '{folder.name}' is a link to outside the folder that the "
                    "dashboard was started for. It is not followed: copy the file instead."
                )
