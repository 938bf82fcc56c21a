"""Predicted and measured seconds of whole simulations."""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

SHIPPED = [
    "quickstart-fed-avg",
    "quickstart",
    "fed-zda",
    "fed-zdas",
    "private-fed-avg",
    "q-ffl",
    "fed-mgda",
    "fed-fv",
    "scaffold",
    "ditto",
    "moon",
    "centralised",
    "oversampling",
]
_BAR = 0.2
_FEDZDA = [sys.executable, "-m", "fedzda", "run"]


def check(
    names: Sequence[str], engines: Sequence[str], repeats: int, changes: Sequence[str]
) -> list[dict[str, Any]]:
    """A row per simulation and engine; a prediction and a run take turns."""
    rows = []
    for name in names:
        for engine in engines:
            told, wall, cpu = [], [], []
            for _ in range(repeats):
                settings = [*_settings(name, engine), *changes]
                told.append(predicted(settings))
                seconds, used = played(settings)
                wall.append(seconds)
                cpu.append(used)
            row = {
                "name": name,
                "engine": engine,
                "predicted": statistics.median(told),
                "wall": statistics.median(wall),
                "wall_range": [min(wall), max(wall)],
                "cpu": statistics.median(cpu),
                "load": os.getloadavg()[0],
            }
            print(f"  {row}", flush=True)
            rows.append(row)
    return rows


def _settings(name: str, engine: str) -> list[str]:
    workers = ["engine.workers=2"] if engine == "ray" else []
    return [name, f"engine.name={engine}", *workers]


def predicted(settings: list[str]) -> float:
    """The total that ``--dry-run`` prints."""
    command = [*_FEDZDA, *settings, "--dry-run"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=_environment())
    total = next(line for line in done.stdout.splitlines() if line.split()[:1] == ["total"])
    return float(total.split()[1])


def played(settings: list[str]) -> tuple[float, float]:
    """Wall time of a run, and processor time of it and of what it started."""
    with tempfile.TemporaryDirectory(prefix="fedzda-bench-") as folder:
        command = [*_FEDZDA, *settings, "--quiet"]
        before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        subprocess.run(
            command, capture_output=True, check=True, cwd=Path(folder), env=_environment()
        )
        wall = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def _environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1"}


def markdown(rows: list[dict[str, Any]]) -> str:
    """The table; on a busy machine processor time is the fairer comparison of one process."""
    lines = [
        "| simulation | engine | predicted, s | wall, s | range | ratio | processor time, s "
        "| ratio | load |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        low, high = row["wall_range"]
        ratio = row["predicted"] / row["wall"]
        cpu = row["predicted"] / row["cpu"] if row["engine"] == "inline" else None
        lines.append(
            f"| {row['name']} | {row['engine']} | {row['predicted']:.1f} | {row['wall']:.1f} "
            f"| {low:.1f}–{high:.1f} | {ratio:.2f} | {row['cpu']:.1f} "
            f"| {'–' if cpu is None else f'{cpu:.2f}'} | {row['load']:.1f} |"
        )
    within = sum(abs(row["predicted"] / row["wall"] - 1) <= _BAR for row in rows)
    lines += ["", f"Within 20 % of the wall time: {within} of {len(rows)}."]
    return "\n".join(lines)
