"""Folders that appear complete or not at all, and ``.npy`` files written piece by piece."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import numpy as np

from fedzda.base import UserError
from fedzda.platform.data.sources.raw import Array
from fedzda.platform.files import sync

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_REFUSED = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EEXIST)


def cache_root() -> Path:
    """``$FEDZDA_CACHE``, else ``~/.cache/fedzda``."""
    chosen = os.environ.get("FEDZDA_CACHE")
    return Path(chosen).expanduser().absolute() if chosen else Path.home() / ".cache" / "fedzda"


def key(*parts: Any) -> str:
    """Twenty hex digits that identify plain data."""
    text = json.dumps(parts, sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:20]


def stored(folder: Path, build: Callable[[Path], None]) -> Path:
    """``folder``, built first if it does not exist.

    ``build`` fills a hidden sibling, which is synced and renamed. Of two processes that build the
    same folder at once the first wins and the other takes over its result.

    Raises:
        UserError: The disk is full or the cache cannot be written; nothing half-made is left.
    """
    if folder.is_dir():
        return folder
    temporary = folder.parent / f".{folder.name}.{uuid.uuid4().hex}"
    try:
        temporary.mkdir(parents=True)
        build(temporary)
        for path in (*temporary.rglob("*"), temporary):
            sync(path)
        _publish(temporary, folder)
    except OSError as error:
        if error.errno in (*_FULL, *_REFUSED):
            reason = "is full" if error.errno in _FULL else "cannot be written"
            raise UserError(
                f"the cache {cache_root()} {reason} ({error.strerror}): make room or give rights "
                "there, or set FEDZDA_CACHE to another folder."
            ) from error
        raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return folder


def _publish(temporary: Path, folder: Path) -> None:
    try:
        os.rename(temporary, folder)
    except OSError:
        if not folder.is_dir():  # somebody else's equal folder is as good
            raise
    sync(folder.parent)


class NpyWriter:
    """Appends rows to a ``.npy`` file; their number is known before, their shape from the first.

    Plain writes, not a memory map: on a full disk a write raises, a touched map kills the process.
    """

    def __init__(self, path: Path, num_rows: int) -> None:
        self._path = path
        self._num_rows = num_rows
        self._written = -1

    def append(self, rows: Array) -> None:
        """Write rows (n, …); n may be 0."""
        if self._written < 0:
            header = {
                "descr": np.lib.format.dtype_to_descr(rows.dtype),
                "fortran_order": False,
                "shape": (self._num_rows, *rows.shape[1:]),
            }
            np.lib.format.write_array_header_1_0(self._file, header)
            self._written = 0
        self._file.write(np.ascontiguousarray(rows).tobytes())
        self._written += len(rows)

    def __enter__(self) -> Self:
        self._file = self._path.open("wb")
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        self._file.close()
        assert kind is not None or self._written == self._num_rows, "rows announced and written"
