"""How fast fedzda is at hand, and how much memory its first simulation takes.

Wall time of ``fedzda --help`` and ``fedzda validate quickstart``, time from launch to the end of
the first round of quickstart (inline and Ray), and the peak memory of a whole quickstart on Ray:
the sum of PSS over all processes, Ray's daemons included. Bars: 0.5 s, 1.5 s, 4 s, 15 s, 1.8 GB,
all with a warm file cache, which an untimed first call sees to.

    python benchmarks/startup.py [--repeats 5] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from engine_cases import machine
from engine_cases.process import Ended, end_cleanly, run

FEDZDA = [sys.executable, "-m", "fedzda"]
_TIMEOUT_SEC = 600.0
_WATCH_SEC = 0.25


class Figure(NamedTuple):
    """One line of the table; ``found`` is the median of ``values``."""

    what: str
    unit: str
    bar: float
    values: list[float]

    @property
    def found(self) -> float:
        """The median."""
        return statistics.median(self.values)


def fedzda(*arguments: str, watch: bool = False, first_round: bool = False) -> Ended:
    """Run the command line in an empty folder; RuntimeError if it fails.

    ``first_round`` ends with the first line of rounds.jsonl in the folder's ``runs``.
    """
    with tempfile.TemporaryDirectory(prefix="fedzda-bench-") as folder:
        home = Path(folder)
        ended = run(
            [*FEDZDA, *arguments],
            home / "log.txt",
            _TIMEOUT_SEC,
            _WATCH_SEC if watch else None,
            until=home / "runs" if first_round else None,
            folder=home,
        )
    if ended.problem:
        raise RuntimeError(f"fedzda {' '.join(arguments)}: {ended.problem}")
    return ended


def command_time(repeats: int, bar: float, *arguments: str) -> Figure:
    """Wall time of a whole command."""
    fedzda(*arguments)
    values = [fedzda(*arguments).seconds for _ in range(repeats)]
    return Figure(f"fedzda {' '.join(arguments)}", "s", bar, values)


def first_round(repeats: int, bar: float, engine: str) -> Figure:
    """Launch to the end of the first round of quickstart."""
    overrides = [f"engine.name={engine}", "rounds=1", "report=false"]
    fedzda("run", "quickstart", *overrides)
    values = [
        fedzda("run", "quickstart", *overrides, first_round=True).event_sec for _ in range(repeats)
    ]
    return Figure(f"quickstart, {engine}: launch to end of round 1", "s", bar, values)


def peak_memory(bar: float) -> Figure:
    """Largest memory during a whole quickstart with its report."""
    ended = fedzda("run", "quickstart", watch=True)
    return Figure("quickstart, ray: peak PSS of all processes", "GB", bar, [ended.peak_bytes / 1e9])


def table(figures: list[Figure]) -> str:
    """Markdown."""
    lines = ["| what | median | range | bar | |", "|---|---|---|---|---|"]
    for one in figures:
        span = f"{min(one.values):.2f}–{max(one.values):.2f}"
        verdict = "met" if one.found <= one.bar else "missed"
        lines.append(
            f"| {one.what} | {one.found:.2f} {one.unit} | {span} | {one.bar:g} {one.unit} "
            f"| {verdict} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Measure, print the table, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    end_cleanly()
    found = machine.describe()
    figures = [
        command_time(options.repeats, 0.5, "--help"),
        command_time(options.repeats, 1.5, "validate", "quickstart"),
        first_round(options.repeats, 4.0, "inline"),
        first_round(options.repeats, 15.0, "ray"),
        peak_memory(1.8),
    ]
    print(f"{table(figures)}\n\n{options.repeats} repeats. {machine.line(found)}")
    if options.json:
        rows: list[dict[str, Any]] = [{**one._asdict(), "found": one.found} for one in figures]
        answer = {"machine": found, "figures": rows}
        options.json.write_text(json.dumps(answer, indent=1) + "\n")


if __name__ == "__main__":
    main()
