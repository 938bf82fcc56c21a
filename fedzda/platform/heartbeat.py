"""A sign of life: while a run lives, its ``status.json`` is touched every few seconds."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

BEAT_SEC = 5.0
STALE_SEC = 30.0
"""Without a sign of life for this long, a run counts as killed."""


@contextmanager
def beating(status: Path, every_sec: float = BEAT_SEC) -> Iterator[None]:
    """Touch ``status`` for the time of a block, from a thread that dies with the process."""
    over = threading.Event()

    def beat() -> None:
        while not over.wait(every_sec):
            with contextlib.suppress(OSError):  # a full or vanished disk is reported elsewhere
                os.utime(status)

    thread = threading.Thread(target=beat, name="fedzda-heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
