"""Tables of the docs page from the results that are there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import docs_page
import numpy as np
from scipy import stats

from gsanet_cases.arms import GRID, LADDER
from gsanet_cases.federated import ARMS

PAGE = Path(__file__).resolve().parents[2] / "docs" / "methods" / "gsanet.md"

Cells = list[dict[str, Any]]


def update_page(kind: str, size: str, results: Path) -> None:
    """Put a table between its marks in the page."""
    if kind == "federated":
        made, name = federated(results), kind
    elif kind == "int8":
        made, name = integers(size, results), f"{kind}-{size}"
    else:
        made, name = networks(kind, size, results), f"{kind}-{size}"
    docs_page.put(PAGE, f"table {name}", made)
    print(made)


def networks(kind: str, size: str, results: Path) -> str:
    """One row per network: mIoU on the test frames, and against the baseline."""
    names = {name: arm.name for name, arm in LADDER.items()}
    if kind == "grid":
        names = {arm.name: arm.name for arm in GRID}
    cells = {name: _cells(results, f"{size}-{stem}") for name, stem in names.items()}
    base = cells[next(iter(cells))]
    columns = ["network", "seeds", "mIoU %", "Δ mIoU", "seen drive", "unseen drive"]
    columns += ["boundary F %", "support", "parameters", "M multiply-adds", "ms", "hours"]
    lines = _head(columns)
    for name, rows in cells.items():
        if rows:
            lines.append(_row(_network(name, rows, base)))
    return "\n".join([*lines, "", _provenance([r for rows in cells.values() for r in rows])])


def _network(name: str, rows: Cells, base: Cells) -> list[str]:
    def percent(group: str, metric: str) -> str:
        return _interval([100 * row["test"][group][metric] for row in rows])

    found = rows[0]
    support = [row["test"]["all"].get("support") for row in rows]
    return [
        name,
        str(len(rows)),
        percent("all", "miou"),
        _paired(rows, base, lambda row: 100 * row["test"]["all"]["miou"]),
        percent("0001TP", "miou"),
        percent("Seq05VD", "miou"),
        percent("all", "boundary_f"),
        "–" if None in support else f"{np.mean(support):.0f}",
        f"{found['parameters']:,}",
        f"{found['macs'] / 1e6:.0f}",
        f"{np.median([row['latency_ms'] for row in rows]):.0f}",
        f"{np.mean([row['hours'] for row in rows]):.2f}",
    ]


def integers(size: str, results: Path) -> str:
    """One row per network: floating point against integers."""
    columns = ["network", "seeds", "mIoU %, float", "simulated", "ONNX Runtime", "Δ mIoU"]
    lines = _head([*columns, "kB, float", "int8", "ms, float", "int8", "times faster"])
    found = []
    for name, arm in LADDER.items():
        rows = _cells(results, f"int8-{size}-{arm.name}")
        if rows:
            lines.append(_row([name, *_integers(rows)]))
        found += rows
    return "\n".join([*lines, "", _provenance(found)])


def _integers(rows: Cells) -> list[str]:
    kinds = ("float", "simulated", "int8")
    lost = [100 * (row["miou"]["int8"] - row["miou"]["float"]) for row in rows]
    median = {kind: np.median([row["ms"][kind] for row in rows]) for kind in ("float", "int8")}
    return [
        str(len(rows)),
        *(_interval([100 * row["miou"][kind] for row in rows]) for kind in kinds),
        _interval(lost, "+"),
        *(f"{rows[0]['bytes'][kind] / 1000:.0f}" for kind in ("float", "int8")),
        *(f"{median[kind]:.1f}" for kind in ("float", "int8")),
        f"{np.median([row['ms']['float'] / row['ms']['int8'] for row in rows]):.1f}",
    ]


def federated(results: Path) -> str:
    """One row per strategy: drives as clients."""
    cells = {arm: _cells(results, f"federated-{arm}") for arm in ARMS}
    columns = ["strategy", "seeds", "mean mIoU %", "worst drive %", "gap (points)", "global test %"]
    lines = _head([*columns, "Δ worst drive"])
    for arm, rows in cells.items():
        if rows:
            lines.append(_row(_strategy(arm, rows, cells["fed-avg"])))
    return "\n".join([*lines, "", _provenance([r for rows in cells.values() for r in rows])])


def _strategy(arm: str, rows: Cells, base: Cells) -> list[str]:
    tested = [100 * row["test"]["miou"] for row in rows if row["test"]]
    return [
        arm,
        str(len(rows)),
        _interval([100 * row["mean"] for row in rows]),
        _interval([100 * row["min"] for row in rows]),
        _interval([100 * (row["max"] - row["min"]) for row in rows]),
        _interval(tested) if tested else "–",
        _paired(rows, base, lambda row: 100 * row["min"]),
    ]


def _cells(results: Path, stem: str) -> Cells:
    files = sorted(results.glob(f"{stem}-s*.json"))
    return [json.loads(file.read_text(encoding="utf-8")) for file in files]


def _interval(values: list[float], sign: str = "") -> str:
    """Mean and half width of the 95 % t-interval over seeds."""
    array = np.array(values)
    if len(array) < 2:
        return f"{array.mean():{sign}.1f}"
    half = stats.t.ppf(0.975, len(array) - 1) * array.std(ddof=1) / np.sqrt(len(array))
    return f"{array.mean():{sign}.1f} ± {half:.1f}"


def _paired(rows: Cells, base: Cells, value: Any) -> str:
    """Difference to the baseline, seed by seed."""
    known = {row["seed"]: value(row) for row in base}
    gains = [value(row) - known[row["seed"]] for row in rows if row["seed"] in known]
    same = bool(base) and rows[0]["arm"] == base[0]["arm"]
    return "–" if same or not gains else _interval(gains, "+")


def _head(columns: list[str]) -> list[str]:
    return [_row(columns), "|" + "---|" * len(columns)]


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _provenance(rows: Cells) -> str:
    length = rows[0].get("epochs") or rows[0]["rounds"]
    unit = "epochs" if "epochs" in rows[0] else "rounds"
    hours = sum(row.get("hours", 0.0) for row in rows)
    spent = f"{hours:.1f} hours in all. " if hours else ""
    return (
        f"{length} {unit}, ± half the 95 % t-interval over seeds; Δ: paired by seed, in points. "
        f"{spent}Machine: {rows[0]['machine']}, {rows[-1]['date']}."
    )
