"""Where and when a benchmark ran."""

from __future__ import annotations

import os
import platform
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

_PACKAGES = ("fedzda", "flwr", "ray", "torch", "numpy")


def describe() -> dict[str, Any]:
    """Processor, cores, load, date and versions."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return {
        "processor": names[0] if names else platform.processor(),
        "cores": len(os.sched_getaffinity(0)),
        "load": os.getloadavg()[0],
        "date": time.strftime("%Y-%m-%d"),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in _PACKAGES},
    }


def line(machine: dict[str, Any]) -> str:
    """One line for under a table."""
    versions = ", ".join(f"{name} {number}" for name, number in machine["versions"].items())
    return (
        f"{machine['processor']}, {machine['cores']} cores (load at the start "
        f"{machine['load']:.1f}), {machine['date']}, Python {machine['python']}, {versions}."
    )
