"""Fed-ZDAC, Fed-ZDAS and Fed-ZDA against FedAvg: who is left behind?

    python benchmarks/fed_zda.py --run digits                 # 20 cells, minutes
    FEDZDA_DATA=… python benchmarks/fed_zda.py --run mnist    # 20 cells, about an hour on 2 cores
    python benchmarks/fed_zda.py --table digits --table mnist # the tables of docs/methods

Every finished cell is a small JSON file under docs/studies/results/, and cells that have one are
skipped. All arms share data, partition, cohorts, batches and the aggregation of BatchNorm
statistics; seeds are paired across arms.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from pathlib import Path
from typing import Any

import docs_page
import numpy as np
from scipy import stats

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "docs" / "studies" / "results"
PAGE = ROOT / "docs" / "methods" / "fed-zda.md"
SEEDS = range(5)
LAST = 10

SETTINGS: dict[str, dict[str, Any]] = {
    "digits": {"rounds": 40},
    "mnist": {
        "rounds": 30,
        "data": {
            "name": "parquet",
            "path": "${FEDZDA_DATA}/mnist",
            "clients": 20,
            "partition": {"name": "pathological", "classes_per_client": 2},
            "max_samples": 8000,
            "test_fraction": 0.25,
        },
        "local.batch_size": 32,
    },
}
ARMS: dict[str, dict[str, Any]] = {
    "fed-avg": {"name": "fed-avg"},
    "fed-zdac": {"name": "fed-zdac"},
    "fed-zdas": {"name": "fed-zdas", "server_synthesizer": {"name": "zs-cgan", "steps": 30}},
    "fed-zda": {"name": "fed-zda", "server_synthesizer": {"name": "zs-cgan", "steps": 10}},
}


def cell_path(data: str, arm: str, seed: int) -> Path:
    """Where the result of one simulation is kept."""
    return RESULTS / f"fed-zda-{data}" / f"{arm}-s{seed}.json"


def run_cell(data: str, arm: str, seed: int, workers: int) -> dict[str, Any]:
    """One simulation; returns what the table needs."""
    import fedzda

    strategy = {**ARMS[arm], "clients_per_round": 10}
    settings = {key.replace(".", "__"): value for key, value in SETTINGS[data].items()}
    run = fedzda.run(
        "quickstart",
        report=False,
        name=f"fed-zda-{data}-{arm}",
        seed=seed,
        strategy=strategy,
        engine={"name": "ray", "workers": workers},
        **settings,
    )
    rounds = [json.loads(line) for line in (run.path / "rounds.jsonl").read_text().splitlines()]
    last = [row["metrics"]["accuracy"] for row in rounds][-LAST:]
    names = ("mean", "worst10", "variance_pp2")
    return {
        "data": data,
        "arm": arm,
        "seed": seed,
        "rounds": len(rounds),
        "last10": {name: float(np.mean([row[name] for row in last])) for name in names},
        "final": {name: run.summary["metrics"]["accuracy"][name] for name in names},
        "global_test": run.summary["global_test"]["accuracy"],
        "seconds": run.summary["seconds"]["total"],
        "config": run.path.name.rpartition("_")[2],
        "fedzda": fedzda.__version__,
        "machine": f"{platform.machine()}, {workers} workers",
        "date": time.strftime("%Y-%m-%d"),
    }


def run_all(data: str, arms: list[str], seeds: list[int], workers: int) -> None:
    """Every cell that has no result yet, seed by seed."""
    for seed in seeds:
        for arm in arms:
            path = cell_path(data, arm, seed)
            if path.exists():
                continue
            cell = run_cell(data, arm, seed, workers)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(cell, indent=1) + "\n")
            print(data, arm, seed, cell["last10"], f"{cell['seconds']:.0f} s", flush=True)


def interval(values: list[float]) -> tuple[float, float]:
    """Mean and half width of the 95 % t-interval over seeds."""
    array = np.array(values)
    if len(array) < 2:
        return float(array.mean()), float("nan")
    half = stats.t.ppf(0.975, len(array) - 1) * array.std(ddof=1) / np.sqrt(len(array))
    return float(array.mean()), float(half)


def table(data: str) -> str:
    """Markdown: every arm, and its paired difference to FedAvg."""
    cells = {
        arm: [json.loads(p.read_text()) for s in SEEDS if (p := cell_path(data, arm, s)).exists()]
        for arm in ARMS
    }
    columns = ["arm", "seeds", "mean %", "worst-10 %", "variance (pp²)"]
    columns += ["Δ mean", "Δ worst-10 %", "global %"]
    lines = ["| " + " | ".join(columns) + " |", "|---|---|---|---|---|---|---|---|"]
    for arm, rows in cells.items():
        if rows:
            lines.append(_line(arm, rows, cells["fed-avg"]))
    first = next(rows[0] for rows in cells.values() if rows)
    lines.append("")
    lines.append(
        f"Average of the last {LAST} of {first['rounds']} rounds, ± half the 95 % t-interval over "
        f"seeds; Δ: paired by seed, in points. Machine: {first['machine']}, {first['date']}."
    )
    return "\n".join(lines)


def _line(arm: str, rows: list[dict[str, Any]], base: list[dict[str, Any]]) -> str:
    def cell(name: str, scale: float) -> str:
        mean, half = interval([scale * row["last10"][name] for row in rows])
        return f"{mean:.1f} ± {half:.1f}"

    def paired(name: str) -> str:
        by_seed = {row["seed"]: row["last10"][name] for row in base}
        kept = [row for row in rows if row["seed"] in by_seed]
        gains = [100 * (row["last10"][name] - by_seed[row["seed"]]) for row in kept]
        if arm == "fed-avg" or not gains:
            return "–"
        mean, half = interval(gains)
        return f"{mean:+.1f} ± {half:.1f}"

    tested, half = interval([100 * row["global_test"] for row in rows])
    figures = [cell("mean", 100), cell("worst10", 100), cell("variance_pp2", 1)]
    deltas = [paired("mean"), paired("worst10"), f"{tested:.1f} ± {half:.1f}"]
    return "| " + " | ".join([arm, str(len(rows)), *figures, *deltas]) + " |"


def write_table(data: str) -> None:
    """Put the table between its markers in the docs page, and print it."""
    text = table(data)
    print(f"\n{data}\n{text}")
    docs_page.put(PAGE, f"table {data}", text)


def main() -> None:
    """Run cells and write tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--run", choices=SETTINGS, action="append", default=[])
    parser.add_argument("--table", choices=SETTINGS, action="append", default=[])
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=list(ARMS))
    parser.add_argument("--seeds", nargs="+", type=int, choices=SEEDS, default=list(SEEDS))
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    for data in options.run:
        run_all(data, options.arms, options.seeds, options.workers)
    for data in options.table:
        write_table(data)


if __name__ == "__main__":
    main()
