"""Seconds per round beside Flower's stock engine, pfl-research and a plain PyTorch loop.

    python benchmarks/engine.py [--workloads w1 echo scale cifar] [--sides NAME …]
                                [--repeats 5] [--rounds 5] [--json FILE]

Every run is a process of its own; sides take turns (A B C A B C …) on the same tensors and start
from the same weights. A round is timed by the wall clock from one end of a round to the next, so
that nothing is left out. Two more rounds than the timed ones are run: the first is start-up, which
is told apart, and after the last fedzda writes its checkpoint. No side evaluates. That all did the
same work is checked: samples and steps per round, and the test accuracy at the end. Ends with code
1 if a side failed or did other work.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from engine_cases import machine, scale, table
from engine_cases.measure import interleave
from engine_cases.process import end_cleanly
from engine_cases.sides import SIDES
from engine_cases.workloads import GROUPS


def compare(group: str, sides: list[str], repeats: int, rounds: int) -> list[dict[str, Any]]:
    """Figures of every workload of a group."""
    results = []
    for workload in GROUPS[group]:
        chosen = [SIDES[name] for name in sides if workload.kind in SIDES[name].module]
        found = interleave([workload], chosen, repeats, rounds)
        results.append(table.figures(workload, found[workload.name]))
    return results


def failed(results: list[dict[str, Any]]) -> bool:
    """Whether a side that could be started broke down or did other work."""
    rows = [row for result in results for row in result["sides"].values()]
    broken = [row for row in rows if not row.get("problem", "not installed").startswith("not inst")]
    return bool(broken) or any(result["checks"] for result in results)


def main() -> int:
    """Run, print the tables, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workloads", nargs="+", choices=GROUPS, default=list(GROUPS))
    parser.add_argument("--sides", nargs="+", choices=SIDES, default=list(SIDES))
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=5, help="timed rounds of a run")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if min(options.repeats, options.rounds) < 1:
        parser.error("--repeats and --rounds must be 1 or more")
    end_cleanly()
    answer: dict[str, Any] = {"machine": machine.describe(), "workloads": []}
    texts = []
    for group in options.workloads:
        if group == "scale":
            answer["scale"] = scale.scale(options.repeats, options.rounds)
            texts.append(scale.markdown(answer["scale"]))
            continue
        results = compare(group, options.sides, options.repeats, options.rounds)
        answer["workloads"] += results
        texts += [table.markdown(result) for result in results]
    plan = f"{options.repeats} repeats of {options.rounds} timed rounds"
    print("\n" + "\n\n".join([*texts, f"{plan}. {machine.line(answer['machine'])}"]))
    if options.json:
        options.json.write_text(json.dumps(answer, indent=1) + "\n")
    broken = failed(answer["workloads"]) or "problem" in answer.get("scale", {})
    return 1 if broken else 0


if __name__ == "__main__":
    raise SystemExit(main())
