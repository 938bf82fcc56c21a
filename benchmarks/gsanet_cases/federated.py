"""One client per drive: averaging against fairness strategies, and training alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

ARMS: dict[str, dict[str, Any]] = {
    "fed-avg": {"name": "fed-avg"},
    "q-ffl": {"name": "q-ffl", "q": 1.0, "lipschitz": 0.1},
    "afl": {"name": "afl"},
    "term": {"name": "term"},
    "local-only": {"name": "local-only"},
}
_LAST = 3


def run_federated(
    seeds: list[int],
    arms: list[str] | None,
    rounds: int,
    work: Path,
    results: Path,
    finished: Callable[[Path, Callable[[], dict[str, Any]]], None],
) -> None:
    """Every cell that has no result yet."""
    for seed in seeds:
        for arm in arms or ARMS:
            finished(
                results / f"federated-{arm}-s{seed}.json",
                lambda arm=arm, seed=seed: run_cell(arm, seed, rounds, work),  # type: ignore[misc]
            )


def run_cell(arm: str, seed: int, rounds: int, work: Path) -> dict[str, Any]:
    """One simulation, or the rest of one that was stopped."""
    import fedzda
    from fedzda.platform.simulation import Simulation

    output = work / f"federated-{arm}-s{seed}"
    begun = sorted(path.parent.parent for path in output.glob("*/checkpoints/latest"))
    if begun and fedzda.load(begun[-1]).status["state"] == "finished":
        run = fedzda.load(begun[-1])
    elif begun:
        run = Simulation.resume(begun[-1])
    else:
        run = fedzda.run(
            "fed-gsanet-camvid",
            name=f"gsanet-{arm}",
            seed=seed,
            rounds=rounds,
            strategy=ARMS[arm],
            engine={"name": "inline"},
            output=str(output),
            report=False,
        )
    rows = [json.loads(line) for line in (run.path / "rounds.jsonl").read_text().splitlines()]
    evaluated = [row["metrics"]["miou"] for row in rows if row.get("metrics")][-_LAST:]
    return {
        "arm": arm,
        "seed": seed,
        "rounds": run.summary["rounds"],
        "drives": drives(run.path),
        "mean": float(np.mean([figures["mean"] for figures in evaluated])),
        "min": float(np.mean([figures["min"] for figures in evaluated])),
        "max": float(np.mean([figures["max"] for figures in evaluated])),
        "test": run.summary["global_test"],
        "hours": round(run.summary["seconds"]["total"] / 3600, 3),
    }


def drives(run: Path) -> dict[str, float]:
    """mIoU of every client in the last evaluated round, by number."""
    from fedzda.platform.recorder import read_clients

    table = read_clients(run / "clients")
    table = table[(table.phase == "evaluate") & (table.metric == "miou") & (table.split == "test")]
    last = table[table["round"] == table["round"].max()]
    return {str(c): float(v) for c, v in zip(last.client, last.value, strict=True)}
