"""Run a program to its end, and watch the memory of it and all its descendants."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil  # type: ignore[import-untyped]

BENCHMARKS = Path(__file__).resolve().parents[1]
_POLL_SEC = 0.02
_FAMILY_SEC = 1.0
"""Between two searches for descendants, which read all of /proc."""


@dataclass
class Ended:
    """A program that came to its end.

    Attributes:
        launched: ``time.monotonic()`` just before it was started.
        seconds: Wall time.
        peak_bytes: Largest sum of PSS over it and its descendants; 0 if not watched.
        problem: Why it failed, empty if it did not.
        event_sec: From the launch to the first line of a ``rounds.jsonl``, if waited for.
    """

    launched: float
    seconds: float
    peak_bytes: int
    problem: str
    event_sec: float = 0.0


def end_cleanly() -> None:
    """Let SIGTERM end this program as an exception, so that what it started is ended too."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))


def environment() -> dict[str, str]:
    """One thread per process, the benchmark's modules importable, no usage reports."""
    return {
        **os.environ,
        "OMP_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
        "PYTHONPATH": str(BENCHMARKS),
        "FLWR_TELEMETRY_ENABLED": "0",
        "FLWR_DISABLE_UPDATE_CHECK": "1",
        "RAY_USAGE_STATS_ENABLED": "0",
        # Ray's workers are nice by 15, which is no fair start for Flower on a busy machine
        "RAY_worker_niceness": "0",
        "GLOO_SOCKET_IFNAME": "lo",
    }


def run(
    command: Sequence[str | Path],
    log: Path,
    timeout_sec: float,
    watch_sec: float | None = None,
    until: Path | None = None,
    folder: Path | None = None,
) -> Ended:
    """Run a program with its output in ``log``; nothing of it is left running.

    Args:
        command: Program and arguments.
        log: File for everything it prints.
        timeout_sec: It is ended after this many seconds.
        watch_sec: Seconds between two looks at its memory; None: not looked at, as it costs time.
        until: Output folder of simulations; the time of the first finished round is noted.
        folder: Working directory; left out: this one.
    """
    peak, problem, event_sec = 0, "", 0.0
    launched = time.monotonic()
    with log.open("wb") as output:
        child = psutil.Popen(
            [str(part) for part in command],
            stdout=output,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env=environment(),
            cwd=folder,
        )
        family: set[psutil.Process] = {child}
        next_look = launched
        try:
            while child.poll() is None:
                time.sleep(_POLL_SEC)
                if until is not None and not event_sec and round_done(until):
                    event_sec = time.monotonic() - launched
                if time.monotonic() >= next_look:
                    family.update(descendants(child))
                    peak = max(peak, total_pss(family) if watch_sec else 0)
                    next_look = time.monotonic() + (watch_sec or _FAMILY_SEC)
                if time.monotonic() - launched > timeout_sec:
                    problem = f"not done after {timeout_sec:.0f} s"
                    break
        finally:
            seconds = time.monotonic() - launched
            family.update(descendants(child))
            end(family)
    if not problem and child.returncode:
        problem = f"exit code {child.returncode}: {complaint(log)}"
    return Ended(launched, seconds, peak, problem, event_sec)


def round_done(output: Path) -> bool:
    """Whether a run folder under ``output`` has a finished round."""
    return any(file.stat().st_size for file in output.glob("*/rounds.jsonl"))


def descendants(process: psutil.Process) -> list[psutil.Process]:
    """All children and their children; none once it has ended."""
    try:
        found: list[psutil.Process] = process.children(recursive=True)
    except psutil.Error:
        return []
    return found


def total_pss(processes: set[psutil.Process]) -> int:
    """Bytes of memory, shared pages divided among those that share them."""
    total = 0
    for process in processes:
        try:
            total += process.memory_full_info().pss
        except (psutil.Error, OSError):
            continue
    return total


def end(processes: set[psutil.Process]) -> None:
    """End whatever of a program's processes still runs (Ray's daemons after a crash)."""
    alive = [process for process in processes if process.is_running()]
    for process in alive:
        try:
            process.terminate()
        except psutil.Error:
            continue
    _, stubborn = psutil.wait_procs(alive, timeout=5)
    for process in stubborn:
        process.kill()


def complaint(log: Path) -> str:
    """The last line of a program's output that names an error, else its last line."""
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines()]
    errors = [line for line in lines if "Error" in line]
    return (errors or lines or ["it printed nothing"])[-1]
