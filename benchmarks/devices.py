"""Heterogeneous devices on MNIST: does every class of devices gain from training what it can?

    FEDZDA_DATA=… python benchmarks/devices.py --run                 # all cells
    FEDZDA_DATA=… python benchmarks/devices.py --run --cells heterofl --seeds 0
    FEDZDA_DATA=… python benchmarks/devices.py --run --fast          # minutes; nothing is kept
    python benchmarks/devices.py --table                             # in docs/methods/width.md

100 clients, labels from Dirichlet 0.5, ten per round, four classes of devices of 25 clients: by
memory for weights and gradients, all of a LeNet without norms, half, a quarter and an eighth of
its channels. Architectures of their own have BatchNorm, which data-free distillation needs. Every
client is tested on the form that its device runs. The set-up was chosen on seed 100
(docs/methods/width.md).

Devices that do not train still need a model that they can run. The arm "exclude-the-weak" gives
them the smallest model, trained by the phones alone, who also train the full one for themselves;
"quantized" gives them the phones' full model in so many bits as fit where some do. In
"heterofl-and-smallest" all devices train the smallest model, too, for those that hold no other.
All three are put together from two runs, client by client, and cost what both cost.
"excluded-tested-on-full" tests them on the full model, which they could not run: what they would
get with the phones' memory.

Every finished cell is a small JSON file under docs/studies/results/devices/, and cells that have
one are skipped.
"""

from __future__ import annotations

import argparse
import json
import platform
import tempfile
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import docs_page
import numpy as np

if TYPE_CHECKING:
    import pandas as pd

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "docs" / "studies" / "results" / "devices"
PAGE = ROOT / "docs" / "methods" / "width.md"
SEEDS = range(3)
FRESH = {"smallest-common", "heterofl", "fjord", "heterofl-and-smallest", "fjord-and-smallest"}
FRESH_SEEDS = range(3, 6)
"""The rows "-and-smallest" were thought of when seeds 0 to 2 had been seen."""
TARGET = 0.8

_CLASSES = {
    # name: multiply-adds per second, bytes for training, bits per second up and down
    "phone": (2e9, 4e9, 8e6, 3e7),
    "tablet-old": (5e8, 4.0e5, 4e6, 1.6e7),
    "watch": (1e8, 1.0e5, 2e6, 8e6),
    "sensor": (5e7, 3.0e4, 1e6, 4e6),
}
_MODEL = {"name": "lenet-bn", "norm": "none", "width": 32}
_NORMED = {**_MODEL, "norm": "batch"}
"""What data-free distillation needs."""
_SMALLEST = {"name": "width", "ratio": 0.125, "scale": False}
_AUTO = {"name": "auto", "scale": False}
_BITS = [
    {"name": "quantized", "weights": bits, "activations": 8, "train": False} for bits in (8, 4)
]
"""What fits an old tablet and a watch; not even two bits fit a sensor."""
_OWN = ["architecture"] + [
    {"name": "architecture", "label": f"lenet-{w}", "model": {**_NORMED, "width": w}}
    for w in (16, 8, 4)
]
CELLS: dict[str, list[Any]] = {
    "smallest-common": [_SMALLEST] * 4,
    "excluded-tested-on-full": ["full", *["excluded"] * 3],
    "phones-full": ["full", *_BITS, "excluded"],
    "phones-smallest": [_SMALLEST, *[{**_SMALLEST, "train": False}] * 3],
    "heterofl": ["full", *[{**_AUTO, "method": "heterofl"}] * 3],
    "fedrolex": ["full", *[{**_AUTO, "method": "fedrolex"}] * 3],
    "fjord": ["full", *[{**_AUTO, "method": "fjord"}] * 3],
    "architectures-apart": _OWN,
    "architectures": _OWN,
    "no-limits": ["full"] * 4,
}
"""What is run -> variants of the four classes. "phones-" train on the phones alone; LeNets of other
widths stand for architectures of their own; "no-limits" gives all devices the memory of the
first."""
_STRATEGIES: dict[str, dict[str, Any]] = {
    "architectures": {"name": "ensemble-distillation", "start_round": 10, "every": 5},
}
ROWS: dict[str, list[str]] = {
    "smallest-common": ["smallest-common"] * 4,
    "exclude-the-weak": ["phones-full", *["phones-smallest"] * 3],
    "quantized": [*["phones-full"] * 3, "phones-smallest"],
    **{name: [name] * 4 for name in ("heterofl", "fedrolex", "fjord")},
    **{name: [name] * 4 for name in ("architectures-apart", "architectures")},
    **{f"{name}-and-smallest": [*[name] * 3, "smallest-common"] for name in ("heterofl", "fjord")},
    "excluded-tested-on-full (not runnable)": ["excluded-tested-on-full"] * 4,
    "no-limits (not runnable)": ["no-limits"] * 4,
}
"""Row of the table -> the cell that each class of devices has its figures from."""


def configuration(cell: str, seed: int, output: str, fast: bool) -> dict[str, Any]:
    """The simulation of a cell."""
    profiles = []
    for (name, numbers), variant in zip(_CLASSES.items(), CELLS[cell], strict=True):
        compute, memory, uplink, downlink = numbers
        profile = {
            "name": name,
            "compute": compute,
            "memory": 4e9 if cell == "no-limits" else memory,
            "uplink": uplink,
            "downlink": downlink,
        }
        profiles.append({"profile": profile, "share": 0.25, "variant": variant})
    return {
        "name": f"devices-{cell}",
        "seed": seed,
        "rounds": 2 if fast else 150,
        "data": {
            "name": "parquet",
            "path": "${FEDZDA_DATA}/mnist",
            "clients": 100,
            "partition": {"name": "dirichlet", "alpha": 0.5},
            "max_samples": 2000 if fast else 20000,
            "test_fraction": 0.25,
        },
        "model": _NORMED if cell.startswith("architectures") else _MODEL,
        "local": {
            "batch_size": 16,
            "optimizer": {"name": "sgd", "lr": 0.05, "momentum": 0.9},
        },
        "strategy": {
            **_STRATEGIES.get(cell, {"name": "fed-avg"}),
            **({"start_round": 1, "every": 1} if fast and cell in _STRATEGIES else {}),
            "clients_per_round": 10,
        },
        "devices": {"name": "profiles", "profiles": profiles},
        "evaluate": {"every": 1 if fast else 5},
        "engine": {"name": "inline"},
        "output": output,
        "report": False,
    }


def run_cell(cell: str, seed: int, fast: bool) -> dict[str, Any]:
    """One run; returns what the table needs."""
    import fedzda
    from fedzda.platform.config.load import from_dict

    with tempfile.TemporaryDirectory() as output:
        start = time.perf_counter()
        config = from_dict(configuration(cell, seed, output, fast))
        run = fedzda.Simulation.build(config).run()
        summary, clients = run.summary, accuracies(run.clients)
        lines = (run.path / "rounds.jsonl").read_text(encoding="utf-8").splitlines()
    return {
        "cell": cell,
        "seed": seed,
        "clients": clients,
        "by_variant": {k: v.get("accuracy") for k, v in summary["by_variant"].items()},
        "variants": summary["variants"],
        "global_test": summary["global_test"],
        "virtual_sec": summary["virtual"]["sec"],
        "bytes": summary["bytes"],
        "target": to_target([json.loads(line) for line in lines]),
        "seconds": time.perf_counter() - start,
        "fedzda": fedzda.__version__,
        "machine": platform.machine(),
        "date": time.strftime("%Y-%m-%d"),
    }


def accuracies(table: pd.DataFrame) -> dict[str, list[float]]:
    """Test accuracy of every client in the last evaluated round, by class of devices."""
    tested = table[(table.phase == "evaluate") & (table.split == "test")]
    rows = tested[(tested.metric == "accuracy") & (tested["round"] == tested["round"].max())]
    return {name: rows[rows.device == name].value.tolist() for name in _CLASSES}


def to_target(rows: list[dict[str, Any]]) -> dict[str, float] | None:
    """Virtual seconds and bytes until the mean accuracy was first as high as the target."""
    moved = 0
    for row in rows:
        moved += row["bytes"]["down"] + row["bytes"]["up"]
        mean = (row["metrics"].get("accuracy") or {}).get("mean") or 0.0
        if mean >= TARGET:
            return {"virtual_sec": row["virtual_total_sec"], "bytes": moved}
    return None


def run_all(cells: list[str], seeds: list[int], fast: bool) -> None:
    """Every cell that has no result yet, seed by seed; ``fast`` ones are not kept."""
    for seed in seeds:
        for cell in cells:
            path = RESULTS / f"{cell}-s{seed}.json"
            if path.exists() and not fast:
                continue
            found = run_cell(cell, seed, fast)
            if not fast:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
            print(told(found["clients"]), f"{cell} s{seed}, {found['seconds']:.0f} s", flush=True)


def told(clients: dict[str, list[float]]) -> str:
    """Means by class of devices, and the figures of all clients, in per cent."""
    classes = ", ".join(f"{name} {100 * np.mean(own):.1f}" for name, own in clients.items())
    mean, worst = overall(clients)
    return f"{classes}; mean {mean:.1f}, worst tenth {worst:.1f}:"


def overall(clients: dict[str, list[float]]) -> tuple[float, float]:
    """Mean and worst tenth of all clients, in per cent."""
    from fedzda.platform.fairness import describe

    values = [value for own in clients.values() for value in own]
    figures = describe(values, np.ones(len(values)))
    return 100 * figures["mean"], 100 * figures["worst10"]


def row_of(sources: list[str], seed: int) -> dict[str, Any] | None:
    """What a row says of a seed; None if a cell is missing."""
    paths = {name: RESULTS / f"{name}-s{seed}.json" for name in dict.fromkeys(sources)}
    if not all(path.exists() for path in paths.values()):
        return None
    cells = {name: json.loads(path.read_text(encoding="utf-8")) for name, path in paths.items()}
    named = zip(_CLASSES, sources, strict=True)
    clients = {device: cells[source]["clients"][device] for device, source in named}
    mean, worst = overall(clients)
    return {
        "mean": mean,
        "worst": worst,
        **{device: 100 * float(np.mean(own)) for device, own in clients.items()},
        "target": next(iter(cells.values()))["target"] if len(cells) == 1 else None,
        "virtual_min": sum(cell["virtual_sec"] for cell in cells.values()) / 60,
        "date": max(cell["date"] for cell in cells.values()),
    }


def table(rows: Mapping[str, list[str]], seeds: Iterable[int]) -> str:
    """Markdown: a row for each arm that has cells."""
    columns = ["arm", "seeds", "mean %", "worst-10 %", *_CLASSES]
    columns += [f"virtual min to {TARGET:.0%}", "MB to it", "virtual min"]
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    dates = []
    for name, sources in rows.items():
        found = [row for seed in seeds if (row := row_of(sources, seed)) is not None]
        if not found:
            continue
        dates += [row["date"] for row in found]
        cells = [name, str(len(found))]
        cells += [spread([row[key] for row in found]) for key in ("mean", "worst", *_CLASSES)]
        reached = [row["target"] for row in found if row["target"]]
        enough = len(reached) == len(found)
        cells += [spread([r["virtual_sec"] / 60 for r in reached]) if enough else "–"]
        cells += [spread([r["bytes"] / 1e6 for r in reached]) if enough else "–"]
        lines.append("| " + " | ".join([*cells, spread([r["virtual_min"] for r in found])]) + " |")
    if not dates:
        return "No cell has been run yet."
    note = (
        "Clients on their own device's form, last round; ± standard deviation over seeds; – where "
        "a seed never reached it, or an arm is put together from two runs (who trains both models "
        f"pays for both; virtual minutes are the sum). {max(dates)}."
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
    parser.add_argument("--cells", nargs="+", choices=CELLS, default=list(CELLS))
    parser.add_argument("--seeds", nargs="+", type=int, default=list(SEEDS))
    options = parser.parse_args()
    if options.run:
        run_all(options.cells, options.seeds, options.fast)
    if options.table:
        fresh = {name: sources for name, sources in ROWS.items() if name in FRESH}
        for mark, rows, seeds in (("", ROWS, SEEDS), ("-fresh", fresh, FRESH_SEEDS)):
            print(text := table(rows, seeds))
            docs_page.put(PAGE, f"table devices{mark}", text)


if __name__ == "__main__":
    main()
