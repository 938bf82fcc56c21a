"""One process at a time plays a run folder."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from fedzda.base import UserError


@contextmanager
def sole_player(folder: Path) -> Iterator[None]:
    """Hold the folder's ``lock`` file for a block; the system lets go of it if the process dies.

    Raises:
        UserError: another process is playing the run.
    """
    try:
        import fcntl
    except ImportError:  # not a POSIX system: nothing to hold
        yield
        return
    with (folder / "lock").open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise UserError(
                f"run '{folder}' is being played by process {file.read().strip()}. Watch it with "
                f"'fedzda watch {folder}', or end it before you resume it."
            ) from None
        except OSError:  # a file system without locks
            pass
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield
