"""Heterogeneous devices on MNIST: does every class of devices gain from training what it can?

    FEDZDA_DATA=… python benchmarks/devices.py --run                 # all cells
    FEDZDA_DATA=… python benchmarks/devices.py --run --arms heterofl --seeds 0
    FEDZDA_DATA=… python benchmarks/devices.py --run --fast          # minutes; nothing is kept
    python benchmarks/devices.py --table                             # in docs/methods/width.md

100 clients with two digits each, ten per round, four classes of devices of 25 clients: by memory
for weights and gradients, all of LeNet, half, a quarter and an eighth of its channels. Every
client is tested on the form that its device runs; clients that are excluded on the full model,
which favours the arm "exclude-the-weak". BatchNorm statistics are shared in all arms, so that no
arm has personal ones. Every finished cell is a small JSON file under docs/studies/results/devices/,
and cells that have one are skipped.
"""

from __future__ import annotations

import argparse
import json
import platform
import tempfile
import time
from pathlib import Path
from typing import Any

import docs_page
import numpy as np

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "docs" / "studies" / "results" / "devices"
PAGE = ROOT / "docs" / "methods" / "width.md"
SEEDS = range(3)
TARGET = 0.8

_CLASSES = {
    # name: multiply-adds per second, bytes for training, bits per second up and down
    "phone": (2e9, 4e9, 8e6, 3e7),
    "tablet-old": (5e8, 1.2e5, 4e6, 1.6e7),
    "watch": (1e8, 3.0e4, 2e6, 8e6),
    "sensor": (5e7, 1.0e4, 1e6, 4e6),
}
_SMALLEST = {"name": "width", "ratio": 0.125, "batchnorm": "shared"}
_AUTO = {"name": "auto", "batchnorm": "shared"}
_FEW_BITS = {"name": "quantized", "weights": 4, "activations": 8, "train": False}
ARMS: dict[str, list[Any]] = {
    "smallest-common": [_SMALLEST] * 4,
    "exclude-the-weak": ["full", *["excluded"] * 3],
    "heterofl": ["full", *[{**_AUTO, "method": "heterofl"}] * 3],
    "fedrolex": ["full", *[{**_AUTO, "method": "fedrolex"}] * 3],
    "fjord": ["full", *[{**_AUTO, "method": "fjord"}] * 3],
    "quantized": ["full", _FEW_BITS, _FEW_BITS, "excluded"],
    "no-limits": ["full"] * 4,
}
"""Arm -> variants of the four classes. "quantized" tests what fits a device with 4-bit weights and
trains on the phones alone; "no-limits" gives all devices the memory of the first."""


def configuration(arm: str, seed: int, output: str, fast: bool) -> dict[str, Any]:
    """The simulation of a cell."""
    profiles = []
    for (name, numbers), variant in zip(_CLASSES.items(), ARMS[arm], strict=True):
        compute, memory, uplink, downlink = numbers
        profile = {
            "name": name,
            "compute": compute,
            "memory": 4e9 if arm == "no-limits" else memory,
            "uplink": uplink,
            "downlink": downlink,
        }
        profiles.append({"profile": profile, "share": 0.25, "variant": variant})
    return {
        "name": f"devices-{arm}",
        "seed": seed,
        "rounds": 2 if fast else 150,
        "data": {
            "name": "parquet",
            "path": "${FEDZDA_DATA}/mnist",
            "clients": 100,
            "partition": {"name": "pathological", "classes_per_client": 2},
            "max_samples": 2000 if fast else 20000,
            "test_fraction": 0.25,
        },
        "model": {"name": "lenet-bn"},
        "local": {
            "batch_size": 16,
            "optimizer": {"name": "sgd", "lr": 0.05, "momentum": 0.9},
        },
        "strategy": {"name": "fed-avg", "clients_per_round": 10},
        "devices": {"name": "profiles", "profiles": profiles},
        "evaluate": {"every": 1 if fast else 5},
        "engine": {"name": "inline"},
        "output": output,
        "report": False,
    }


def run_cell(arm: str, seed: int, fast: bool) -> dict[str, Any]:
    """One run; returns what the table needs."""
    import fedzda
    from fedzda.platform.config_load import from_dict

    with tempfile.TemporaryDirectory() as output:
        start = time.perf_counter()
        config = from_dict(configuration(arm, seed, output, fast))
        run = fedzda.Simulation.build(config).run()
        summary = run.summary
        lines = (run.path / "rounds.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    kept = ("n", "mean", "worst10", "last10_mean", "variance_pp2", "gini")
    return {
        "arm": arm,
        "seed": seed,
        "accuracy": {key: summary["metrics"]["accuracy"][key] for key in kept},
        "by_device": {k: v.get("accuracy") for k, v in summary["by_device"].items()},
        "by_variant": {k: v.get("accuracy") for k, v in summary["by_variant"].items()},
        "variants": summary["variants"],
        "global_test": summary["global_test"],
        "virtual_sec": summary["virtual"]["sec"],
        "bytes": summary["bytes"],
        "target": to_target(rows),
        "seconds": time.perf_counter() - start,
        "fedzda": fedzda.__version__,
        "machine": platform.machine(),
        "date": time.strftime("%Y-%m-%d"),
    }


def to_target(rows: list[dict[str, Any]]) -> dict[str, float] | None:
    """Virtual seconds and bytes until the mean accuracy was first as high as the target."""
    moved = 0
    for row in rows:
        moved += row["bytes"]["down"] + row["bytes"]["up"]
        mean = (row["metrics"].get("accuracy") or {}).get("mean") or 0.0
        if mean >= TARGET:
            return {"virtual_sec": row["virtual_total_sec"], "bytes": moved}
    return None


def run_all(arms: list[str], seeds: list[int], fast: bool) -> None:
    """Every cell that has no result yet, seed by seed; ``fast`` ones are not kept."""
    for seed in seeds:
        for arm in arms:
            path = RESULTS / f"{arm}-s{seed}.json"
            if path.exists() and not fast:
                continue
            cell = run_cell(arm, seed, fast)
            if not fast:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(json.dumps(cell, indent=1) + "\n", encoding="utf-8")
            own = cell["accuracy"]
            print(f"{arm} s{seed}: mean {own['mean']:.3f}, worst {own['worst10']:.3f}, "
                  f"{cell['seconds']:.0f} s", flush=True)  # fmt: skip


def table() -> str:
    """Markdown: a row for each arm that has cells."""
    columns = ["arm", "seeds", "mean %", "worst-10 %", *_CLASSES]
    columns += [f"virtual min to {TARGET:.0%}", "MB to it", "virtual min"]
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    dates = []
    for arm in ARMS:
        paths = [RESULTS / f"{arm}-s{seed}.json" for seed in SEEDS]
        cells = [json.loads(path.read_text(encoding="utf-8")) for path in paths if path.exists()]
        if not cells:
            continue
        dates += [cell["date"] for cell in cells]
        row = [arm, str(len(cells))]
        row += [
            spread([100 * cell["accuracy"][key] for cell in cells]) for key in ("mean", "worst10")
        ]
        row += [spread([100 * c["by_device"][name]["mean"] for c in cells]) for name in _CLASSES]
        reached = [cell["target"] for cell in cells if cell["target"]]
        enough = len(reached) == len(cells)
        row += [spread([r["virtual_sec"] / 60 for r in reached]) if enough else "–"]
        row += [spread([r["bytes"] / 1e6 for r in reached]) if enough else "–"]
        row += [spread([cell["virtual_sec"] / 60 for cell in cells])]
        lines.append("| " + " | ".join(row) + " |")
    if not dates:
        return "No cell has been run yet."
    note = (
        "Clients on their own device's form, last round; ± standard deviation over seeds; – where "
        f"a seed never reached it. {max(dates)}."
    )
    return "\n".join([*lines, "", note])


def spread(values: list[float]) -> str:
    """Mean and standard deviation over seeds."""
    array = np.array(values)
    return f"{array.mean():.1f}" + (f" ± {array.std(ddof=1):.1f}" if len(array) > 1 else "")


def main() -> None:
    """Run cells and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--run", action="store_true")
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--fast", action="store_true", help="two rounds on 2,000 samples")
    parser.add_argument("--arms", nargs="+", choices=ARMS, default=list(ARMS))
    parser.add_argument("--seeds", nargs="+", type=int, default=list(SEEDS))
    options = parser.parse_args()
    if options.run:
        run_all(options.arms, options.seeds, options.fast)
    if options.table:
        print(text := table())
        docs_page.put(PAGE, "table devices", text)


if __name__ == "__main__":
    main()
