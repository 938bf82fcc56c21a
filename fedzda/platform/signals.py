"""A run that is told to end by the system ends like one that is interrupted from the keyboard."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def terminated_like_interrupted() -> Iterator[None]:
    """SIGTERM (batch systems, ``timeout``, containers) raises KeyboardInterrupt inside.

    Ray has a handler of its own, which prints addresses and leaves no time to write a status: enter
    this after Ray has started. Outside the main thread, where Python allows none, nothing changes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number: int, frame: Any) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before if before is not None else signal.SIG_DFL)
