"""A dashboard in a process of its own, as a person starts it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def dashboard(root: Path, *options: str) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """The address that it printed, and its process, which is interrupted at the end."""
    command = [sys.executable, "-m", "fedzda", "dashboard", str(root), "--port", "0", *options]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ
    )
    try:
        line = process.stdout.readline()
        assert line.startswith("dashboard: http://"), line + process.stderr.read()
        assert "Ctrl-C" in process.stdout.readline()
        yield line.split()[1], process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        process.communicate(timeout=20)
