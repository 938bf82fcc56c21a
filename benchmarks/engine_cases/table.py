"""From runs to figures, checks, bars and Markdown."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

from engine_cases.measure import Sample, Samples
from engine_cases.sides import REFERENCE, SIDES
from engine_cases.workloads import Workload

TOLERANCE = 0.03
"""Largest distance of a side's median test accuracy from the plain loop's."""
ECHO_TOLERANCE = 1e-5
"""Largest change of an echoed value: means are taken in float32 or float64."""

BARS: dict[str, list[tuple[str, float, float]]] = {
    "w1": [("flower", 1.0, 6.0), ("pfl", 1.0, 2.2), ("plain", 0.5, 1.4)],
    "echo-6.6mb": [("flower", 1.0, 20.0)],
}
"""By workload: (side, share of its seconds, how many times fedzda-ray's seconds that must be)."""


def figures(workload: Workload, found: Samples) -> dict[str, Any]:
    """Medians over repeats of the medians over rounds, ratios paired by repeat, checks, bars."""
    rows = {name: _row(samples) for name, samples in found.items()}
    ours = found.get(REFERENCE, [])
    for name, row in rows.items():
        row["ratio"] = _ratio(found[name], ours)
    return {
        "workload": asdict(workload),
        "sides": rows,
        "checks": checks(workload, rows),
        "bars": bars(workload, rows),
    }


def _row(samples: list[Sample]) -> dict[str, Any]:
    good = [sample for sample in samples if not sample.problem]
    if not good:
        return {"problem": samples[0].problem}
    medians = [float(np.median(sample.round_sec)) for sample in good]
    parts = {key: float(np.median([s.parts[key] for s in good])) for key in good[0].parts}
    return {
        "round_sec": float(np.median(medians)),
        "round_sec_range": [min(medians), max(medians)],
        "first_round_sec": float(np.median([sample.first_round_sec for sample in good])),
        "samples": good[-1].samples,
        "steps": good[-1].steps,
        "quality": float(np.median([sample.quality for sample in good])),
        "parts": parts,
        "runs": [asdict(sample) for sample in samples],
    }


def _ratio(theirs: list[Sample], ours: list[Sample]) -> float | None:
    """How many times our seconds a side needs: the median over repeats."""
    pairs = [
        float(np.median(a.round_sec) / np.median(b.round_sec))
        for a, b in zip(theirs, ours, strict=False)
        if not a.problem and not b.problem
    ]
    return float(np.median(pairs)) if pairs else None


def checks(workload: Workload, rows: dict[str, Any]) -> list[str]:
    """What speaks against equal work; empty if nothing does."""
    good = {name: row for name, row in rows.items() if "problem" not in row}
    problems = []
    for name, row in good.items():
        if workload.kind == "echo":
            if row["quality"] > ECHO_TOLERANCE:
                problems.append(f"{name} changed the echoed model by {row['quality']:.1e}")
            continue
        wanted = workload.samples_per_round, workload.steps_per_round
        if (row["samples"], row["steps"]) != wanted:
            problems.append(f"{name} did {row['samples']} samples, {row['steps']} steps: {wanted}")
        away = abs(row["quality"] - good.get("plain", row)["quality"])
        if away > TOLERANCE:
            problems.append(f"{name} is {100 * away:.1f} points away from the plain loop")
    return problems


def bars(workload: Workload, rows: dict[str, Any]) -> list[dict[str, Any]]:
    """The bars of a workload and whether they are met."""
    met = []
    for name, share, wanted in BARS.get(workload.name, []):
        ratio = rows.get(name, {}).get("ratio")
        if ratio is not None:
            found = share * ratio
            what = f"{SIDES[name].about}{' divided by two' if share == 0.5 else ''}"
            met.append({"what": what, "bar": wanted, "found": found, "met": found >= wanted})
    return met


def markdown(result: dict[str, Any]) -> str:
    """The table of one workload."""
    echo = result["workload"]["kind"] == "echo"
    lines = [
        f"### {result['workload']['title']}",
        "",
        "| side | s/round | range over repeats | times fedzda-ray | launch to end of round 1, s |"
        + ("" if echo else " samples/round | steps/round | test accuracy |"),
        "|---|---|---|---|---|" + ("" if echo else "---|---|---|"),
    ]
    lines += [_line(SIDES[name].about, row, echo) for name, row in result["sides"].items()]
    lines.append("")
    for bar in result["bars"]:
        verdict = "met" if bar["met"] else "missed"
        lines.append(f"- {bar['what']}: {bar['found']:.2f} times; bar {bar['bar']:g}: {verdict}")
    agreed = "echoed models agree" if echo else f"accuracies within {100 * TOLERANCE:.0f} points"
    if not echo and "round_sec" not in result["sides"].get("plain", {}):
        agreed = "samples and steps; accuracies not compared, as the plain loop did not run"
    lines.append(f"- equal work: {'; '.join(result['checks']) or f'yes ({agreed})'}")
    return "\n".join(lines)


def _line(about: str, row: dict[str, Any], echo: bool) -> str:
    columns = 4 if echo else 7
    if "problem" in row:
        return f"| {about} | {row['problem']} |" + " – |" * (columns - 1)
    low, high = row["round_sec_range"]
    ratio = "–" if row["ratio"] is None else f"{row['ratio']:.2f}"
    cells = [f"{row['round_sec']:.3f}", f"{low:.3f}–{high:.3f}", ratio]
    cells.append(f"{row['first_round_sec']:.1f}")
    if not echo:
        cells += [f"{row['samples']:,}", f"{row['steps']:,}", f"{row['quality']:.3f}"]
    return f"| {about} | " + " | ".join(cells) + " |"
