"""Class-incremental learning: DF-GR and DT-ID against what others do without old data.

    FEDZDA_DATA=… python benchmarks/incremental.py --run mnist             # a cell: 1 to 4 minutes
    FEDZDA_DATA=… python benchmarks/incremental.py --run mnist --arms lwf df-gr --seeds 0
    FEDZDA_DATA=… python benchmarks/incremental.py --run federated --seeds 0
    python benchmarks/incremental.py --table mnist --table federated       # tables of docs/methods

Every finished cell is a small JSON file under docs/studies/results/incremental/, and cells that
have one are skipped. Seed and class order go together: seed s draws the order from 1993 + s.
Settings were tuned with seed 100, which is not reported.
"""

from __future__ import annotations

import argparse
import json
import platform
import re
import tempfile
import time
from pathlib import Path
from typing import Any

import docs_page
import numpy as np

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "docs" / "studies" / "results" / "incremental"
PAGE = ROOT / "docs" / "methods" / "class-incremental.md"
SEEDS = range(3)

_OFF = {"dfgr.enabled": False, "dtid.enabled": False}
_REPLAY, _BOTH = {"dtid.enabled": False}, dict[str, Any]()
ARMS: dict[str, tuple[str, int, dict[str, Any]]] = {
    "fine-tune": ("fine-tune", 0, _OFF),
    "lwf": ("lwf", 0, _OFF),
    "lucir, no exemplars": ("lucir", 0, _OFF),
    "df-gr": ("lucir", 0, _REPLAY),
    "df-gr + dt-id": ("lucir", 0, _BOTH),
    "dt-id": ("lucir", 0, {"dfgr.enabled": False}),
    "noise replay": ("lucir", 0, {**_REPLAY, "dfgr.images": "noise"}),
    "one teacher": ("lucir", 0, {"dtid.w_new": 0.0}),
    "mse instead of vid": ("lucir", 0, {"dtid.distance": "mse"}),
    "abd-like": ("abd-like", 0, _REPLAY),
    "r-dfcil-like": ("r-dfcil-like", 0, _REPLAY),
    "real replay, 20": ("fine-tune", 20, _OFF),
    "icarl, 20": ("icarl", 20, _OFF),
    "lucir, 20": ("lucir", 20, _OFF),
    "lucir + df-gr, 20": ("lucir", 20, _REPLAY),
    "lucir + dt-id, 20": ("lucir", 20, {"dfgr.enabled": False}),
    "lucir + both, 20": ("lucir", 20, _BOTH),
    "joint": ("joint", 0, _OFF),
}
"""Arm -> base method, exemplars per class, changes of the strategy."""
_TARGET = {**_REPLAY, "dfgr.deliver": "samples", "dfgr.synthetic_ce": 0.0}
FEDERATED: dict[str, tuple[str, int, dict[str, Any]]] = {
    "fed-avg": ("fine-tune", 0, _OFF),
    "fed-lwf": ("lwf", 0, _OFF),
    "fed-lucir": ("lucir", 0, _OFF),
    "target-like": ("fine-tune", 0, _TARGET),
    "df-gr": ("lucir", 0, _REPLAY),
    "df-gr + dt-id": ("lucir", 0, _BOTH),
    "joint": ("joint", 0, _OFF),
}
SETTINGS: dict[str, tuple[str, dict[str, tuple[str, int, dict[str, Any]]], dict[str, Any]]] = {
    "mnist": ("dfgr-mnist", ARMS, {}),
    "federated": ("fed-dfgr-mnist", FEDERATED, {"engine__name": "inline"}),
    "cifar10": ("dfgr-cifar10", ARMS, {}),
    "cifar10-short": (
        "dfgr-cifar10",
        ARMS,
        {"data__max_samples": 5000, "local__epochs": 8, "scenario__phases": 2, "rounds": 3},
    ),
    "digits": ("fed-dfgr-digits", FEDERATED, {}),
}
"""Setting -> shipped simulation, its arms, its changes."""


def cell_path(setting: str, arm: str, seed: int) -> Path:
    """Where the result of one run is kept."""
    name = re.sub(r"[^a-z0-9]+", "-", arm)
    return RESULTS / setting / f"{name}-s{seed}.json"


def changes_of(setting: str, arm: str, seed: int, extra: dict[str, Any]) -> dict[str, Any]:
    """The overrides of a cell."""
    _, arms, changes = SETTINGS[setting]
    base, exemplars, strategy = arms[arm]
    head = "cosine" if base == "lucir" else "linear"
    overrides = {
        "seed": seed,
        "scenario__order_seed": 1993 + seed,
        "scenario__exemplars_per_class": exemplars,
        "scenario__head": head,
        "strategy__base": base,
        **{f"strategy__{key.replace('.', '__')}": value for key, value in strategy.items()},
    }
    return {**changes, **overrides, **extra}


def run_cell(setting: str, arm: str, seed: int, extra: dict[str, Any]) -> dict[str, Any]:
    """One run; returns what the tables need."""
    import fedzda

    with tempfile.TemporaryDirectory() as output:
        changes = changes_of(setting, arm, seed, extra)
        start, cpu = time.perf_counter(), time.process_time()
        shipped = SETTINGS[setting][0]
        run = fedzda.run(shipped, report=False, output=output, name="incremental", **changes)
        spent, cpu = time.perf_counter() - start, time.process_time() - cpu
        found = json.loads((run.path / "artifacts" / "incremental.json").read_text())
        rows = [json.loads(line) for line in (run.path / "rounds.jsonl").read_text().splitlines()]
        ends = [rows[number - 1] for number in found["last_rounds"]]
        kept = ("mean", "worst10", "variance_pp2", "gini")
        fairness = [
            {key: row["metrics"]["accuracy"][key] for key in kept}
            for row in ends
            if "accuracy" in row["metrics"]
        ]
        moved = run.summary["bytes"]
    return {
        "setting": setting,
        "arm": arm,
        "seed": seed,
        "order_seed": 1993 + seed,
        **{key: value for key, value in found.items() if key not in ("hits", "counts")},
        "clients": fairness,
        "bytes": moved,
        "seconds": spent,
        "cpu_seconds": cpu,
        "fedzda": fedzda.__version__,
        "machine": platform.machine(),
        "date": time.strftime("%Y-%m-%d"),
    }


def run_all(setting: str, arms: list[str], seeds: list[int], extra: dict[str, Any]) -> None:
    """Every cell that has no result yet, seed by seed; trials with ``extra`` are not kept."""
    for seed in seeds:
        for arm in arms:
            path = cell_path(setting, arm, seed)
            if path.exists() and not extra:
                continue
            cell = run_cell(setting, arm, seed, extra)
            if not extra and seed in SEEDS:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(json.dumps(cell, indent=1) + "\n")
            accuracies = " ".join(f"{100 * a:.1f}" for a in cell["accuracy"])
            print(setting, arm, f"s{seed}", f"avg {100 * cell['average']:.2f}", accuracies,
                  f"{cell['cpu_seconds']:.0f} s", extra or "", flush=True)  # fmt: skip


def cells_of(setting: str, arm: str) -> list[dict[str, Any]]:
    """The finished cells of an arm, by seed."""
    paths = [cell_path(setting, arm, seed) for seed in SEEDS]
    return [json.loads(path.read_text()) for path in paths if path.exists()]


def spread(values: list[float], scale: float = 100.0) -> str:
    """Mean and standard deviation over seeds."""
    array = scale * np.array(values)
    return f"{array.mean():.1f}" + (f" ± {array.std(ddof=1):.1f}" if len(array) > 1 else "")


def finished(setting: str) -> list[tuple[str, list[dict[str, Any]]]]:
    """Arms that have cells, with them."""
    found = [(arm, cells_of(setting, arm)) for arm in SETTINGS[setting][1]]
    return [(arm, cells) for arm, cells in found if cells]


def table(setting: str) -> str:
    """Markdown: every arm that has a cell; federated also client by client, phase by phase."""
    arms = finished(setting)
    if not arms:
        return "No cell has been run yet."
    federated = SETTINGS[setting][1] is FEDERATED
    columns = ["arm", "seeds", "average %", "last %", "old / new % at the end", "forgetting"]
    columns += ["MB sent"] if federated else ["average % by the other rule"]
    columns += ["minutes of one core"]
    rows = []
    for arm, cells in arms:
        old = spread([cell["old"][-1] for cell in cells])
        new = spread([cell["new"][-1] for cell in cells])
        row = [arm, str(len(cells))]
        row += [spread([cell[key] for cell in cells]) for key in ("average", "last")]
        row += [f"{old} / {new}", spread([cell["forgetting"] for cell in cells])]
        if federated:
            row += [spread([sum(cell["bytes"].values()) for cell in cells], 1e-6)]
        else:
            row += [other_rule(cells)]
        times = [cell["cpu_seconds"] for cell in cells if "cpu_seconds" in cell]
        rows.append([*row, spread(times, 1 / 60) if times else "–"])
    lines = [*markdown(columns, rows), "", note(arms)]
    return "\n".join([*lines, "", *fairness(arms)] if federated else lines)


def other_rule(cells: list[dict[str, Any]]) -> str:
    """The average by the nearest mean of exemplars, of iCaRL that of its classifier."""
    for suffix, name in (("nme", "nearest mean"), ("classifier", "classifier")):
        values = [cell[f"average_{suffix}"] for cell in cells if f"average_{suffix}" in cell]
        if values:
            return f"{spread(values)} ({name})"
    return "–"


def fairness(arms: list[tuple[str, list[dict[str, Any]]]]) -> list[str]:
    """After each phase: accuracy of clients on their own test samples of the classes seen."""
    phases = max(len(cells[0]["clients"]) for _, cells in arms)
    columns = ["arm", *(f"phase {phase}" for phase in range(phases))]
    rows = []
    for arm, cells in arms:
        row = [arm]
        for phase in range(phases):
            own = [cell["clients"][phase] for cell in cells]
            shown = [spread([each[key] for each in own]) for key in ("mean", "worst10")]
            row.append(" / ".join([*shown, spread([each["variance_pp2"] for each in own], 1.0)]))
        rows.append(row)
    lead = "Clients after each phase: mean accuracy % / worst tenth % / variance in squared points."
    return [lead, "", *markdown(columns, rows)]


def markdown(columns: list[str], rows: list[list[str]]) -> list[str]:
    """Lines of a table."""
    head = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    return [*head, *("| " + " | ".join(row) + " |" for row in rows)]


def note(arms: list[tuple[str, list[dict[str, Any]]]]) -> str:
    """What the figures are, of which machine and date."""
    cells = [cell for _, own in arms for cell in own]
    machines = ", ".join(sorted({cell["machine"] for cell in cells}))
    return (
        "Average: mean of A_0 .. A_T, the base phase included, on the global test set; ± standard "
        f"deviation over seeds. {machines}, {max(cell['date'] for cell in cells)}."
    )


def write_table(setting: str) -> None:
    """Put the table between its markers in the docs page, and print it."""
    text = table(setting)
    print(f"\n{setting}\n{text}")
    docs_page.put(PAGE, f"table {setting}", text)


def main() -> None:
    """Run cells and write tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--run", choices=SETTINGS, action="append", default=[])
    parser.add_argument("--table", choices=SETTINGS, action="append", default=[])
    parser.add_argument("--arms", nargs="+")
    parser.add_argument("--seeds", nargs="+", type=int, default=list(SEEDS))
    parser.add_argument("--set", nargs="+", default=[], help="a__b=JSON, for trials")
    options = parser.parse_args()
    extra = {key: json.loads(value) for key, _, value in (o.partition("=") for o in options.set)}
    for setting in options.run:
        run_all(setting, options.arms or list(SETTINGS[setting][1]), options.seeds, extra)
    for setting in options.table:
        write_table(setting)


if __name__ == "__main__":
    main()
