"""A thousand registered clients against a million, fedzda alone: time, memory, start."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import Any

import numpy as np

from engine_cases.data import made
from engine_cases.measure import interleave, once
from engine_cases.sides import REFERENCE, SIDES
from engine_cases.workloads import SCALES

_BARS = {"slower": 1.05, "extra_bytes": 1e9, "start_sec": 30.0}


def scale(repeats: int, rounds: int) -> dict[str, Any]:
    """Figures of both populations; memory comes from runs of their own, which are not timed."""
    side = SIDES[REFERENCE]
    prepared = {}
    for workload in SCALES:
        start = time.perf_counter()
        made(workload)
        prepared[workload.name] = time.perf_counter() - start
    found = interleave(SCALES, [side], repeats, rounds)
    rows: dict[int, dict[str, Any]] = {}
    for workload in SCALES:
        samples = found[workload.name][side.name]
        if samples[0].problem:
            return {"problem": f"{workload.name}: {samples[0].problem}"}
        watched = once(workload, side, rounds, seed=0, watch=True)
        medians = [float(np.median(sample.round_sec)) for sample in samples]
        rows[workload.clients] = {
            "round_sec": float(np.median(medians)),
            "round_sec_range": [min(medians), max(medians)],
            "first_round_sec": float(np.median([s.first_round_sec for s in samples])),
            "peak_bytes": watched.peak_bytes,
            "data_sec": prepared[workload.name],
            "parts": samples[-1].parts,
            "runs": [asdict(sample) for sample in samples],
        }
    few, many = rows.values()
    slower = [
        float(np.median(b["round_sec"]) / np.median(a["round_sec"]))
        for a, b in zip(few["runs"], many["runs"], strict=True)
    ]
    compared = {
        "slower": float(np.median(slower)),
        "extra_bytes": many["peak_bytes"] - few["peak_bytes"],
        "start_sec": many["first_round_sec"],
    }
    met = {name: compared[name] <= bar for name, bar in _BARS.items()}
    return {"rows": rows, "compared": compared, "bars": _BARS, "met": met}


def markdown(result: dict[str, Any]) -> str:
    """The table of both populations."""
    lines = ["### " + SCALES[0].title.replace("1,000 clients,", "1,000 and 1,000,000 clients,"), ""]
    if "problem" in result:
        return "\n".join([*lines, result["problem"]])
    lines += [
        "| registered | s/round | range over repeats | launch to end of round 1, s | PSS, MB |",
        "|---|---|---|---|---|",
    ]
    for clients, row in result["rows"].items():
        low, high = row["round_sec_range"]
        lines.append(
            f"| {clients:,} | {row['round_sec']:.3f} | {low:.3f}–{high:.3f} | "
            f"{row['first_round_sec']:.1f} | {row['peak_bytes'] / 1e6:.0f} |"
        )
    told = result["compared"]
    said = {True: "met", False: "missed"}
    met = {name: said[value] for name, value in result["met"].items()}
    lines += [
        "",
        f"- a round takes {told['slower']:.3f} times as long; bar 1.05: {met['slower']}",
        f"- {told['extra_bytes'] / 1e6:.0f} MB more memory; bar 1,000 MB: {met['extra_bytes']}",
        f"- {told['start_sec']:.1f} s to the end of round 1; bar 30 s: {met['start_sec']} "
        "(data and partition cached)",
    ]
    return "\n".join(lines)
