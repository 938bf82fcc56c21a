"""Clients per second on one GPU: one by one, side by side, vectorised, and Flower's stock engine.

    python benchmarks/gpu.py [--workloads w1 cifar] [--repeats 3] [--rounds 5] [--json FILE]

The workloads and the way they are timed are those of engine.py; sides take turns.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from engine_cases import machine
from engine_cases.measure import Sample, interleave
from engine_cases.process import end_cleanly
from engine_cases.sides import GPU_SIDES
from engine_cases.workloads import GROUPS, Workload

_GOAL = 10.0
"""How many times Flower's clients per second the vectorised form should make."""


def figures(workload: Workload, found: dict[str, list[Sample]]) -> dict[str, Any]:
    """Clients per second by side: medians over repeats of medians over rounds."""
    rows: dict[str, Any] = {}
    for name, samples in found.items():
        if samples[0].problem:
            rows[name] = {"problem": samples[0].problem}
            continue
        rates = [workload.cohort / float(np.median(sample.round_sec)) for sample in samples]
        rows[name] = {
            "clients_per_sec": float(np.median(rates)),
            "range": [min(rates), max(rates)],
            "quality": float(np.median([sample.quality for sample in samples])),
        }
    return {"workload": workload.title, "sides": rows}


def markdown(result: dict[str, Any]) -> str:
    """The table of one workload, with the ratio to Flower."""
    rows = result["sides"]
    lines = [
        f"### {result['workload']}",
        "",
        "| side | clients/s | range over repeats | times Flower | test accuracy |",
        "|---|---|---|---|---|",
    ]
    theirs = rows.get("flower-gpu", {}).get("clients_per_sec")
    for name, row in rows.items():
        if "problem" in row:
            lines.append(f"| {GPU_SIDES[name].about} | {row['problem']} | – | – | – |")
            continue
        times = f"{row['clients_per_sec'] / theirs:.1f}" if theirs else "–"
        low, high = row["range"]
        lines.append(
            f"| {GPU_SIDES[name].about} | {row['clients_per_sec']:.0f} | {low:.0f}–{high:.0f} | "
            f"{times} | {row['quality']:.3f} |"
        )
    ours = rows.get("vectorised", {}).get("clients_per_sec")
    if ours and theirs:
        said = "met" if ours / theirs >= _GOAL else "missed"
        lines += ["", f"- vectorised: {ours / theirs:.1f} times Flower; goal {_GOAL:g}: {said}"]
    return "\n".join(lines)


def main() -> int:
    """Run, print the tables, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    choices = ["w1", "cifar"]
    parser.add_argument("--workloads", nargs="+", choices=choices, default=choices)
    parser.add_argument("--sides", nargs="+", choices=GPU_SIDES, default=list(GPU_SIDES))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=5, help="timed rounds of a run")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if not torch.cuda.is_available():
        parser.error("torch sees no GPU here; benchmarks/engine.py measures the cores")
    end_cleanly()
    sides = [GPU_SIDES[name] for name in options.sides]
    results = []
    for workload in (each for group in options.workloads for each in GROUPS[group]):
        found = interleave([workload], sides, options.repeats, options.rounds)
        results.append(figures(workload, found[workload.name]))
    where = machine.describe()
    gpu = torch.cuda.get_device_name()
    tables = [*map(markdown, results), f"{gpu}. {machine.line(where)}"]
    print("\n" + "\n\n".join(tables))
    if options.json:
        answer = {"machine": {**where, "gpu": gpu}, "workloads": results}
        options.json.write_text(json.dumps(answer, indent=1) + "\n")
    rows = [row for result in results for row in result["sides"].values()]
    return 1 if any("problem" in row for row in rows) else 0


if __name__ == "__main__":
    raise SystemExit(main())
