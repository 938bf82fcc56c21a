"""Rounds of many sizes, and the rates that explain them."""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import least_squares

from engine_cases.echo import EchoSimulation
from engine_cases.process import run
from engine_cases.side_fedzda import BENCHMARKS
from engine_cases.sides import WORKERS
from fedzda.platform.config.load import from_dict
from fedzda.platform.costs.rates import Rates, shipped_rates
from fedzda.platform.costs.rounds import Load, driver_seconds, round_seconds

_ROUNDS = 22
_ROUNDS_LARGE = 8
_LARGE = 100e6
_LEAST = 1e-12
"""Where the fit of a rate starts that was zero: it goes by logarithms."""
_SENT = 1_000_000
_PARTS = ("schedule", "transfer", "train", "aggregate")
_FITTED = [
    "schedule",
    "handle",
    "serve",
    "aggregate",
    "combine_byte",
    "journey",
    "dispatch",
    "ray_client",
    "put_byte",
    "load_byte",
    "add_byte",
    "sum_byte",
    "reply_byte",
]
_TIMEOUT_SEC = 900.0


@dataclass(frozen=True)
class Case:
    """Rounds to measure: echoing clients."""

    cohort: int
    floats: int
    workers: int
    reduced: bool = True

    @property
    def load(self) -> Load:
        """The case as the model takes it."""
        return Load(self.cohort, 1000, self.workers, 4.0 * self.floats, 0.0, self.reduced)


CASES = [
    Case(cohort, floats, workers, reduced)
    for workers in (0, WORKERS)
    for cohort, floats, reduced in [
        (4, 1_000, True),
        (50, 1_000, True),
        (1000, 1_000, True),
        (50, 100_000, True),
        (50, 1_650_000, True),
        (200, 1_650_000, True),
        (50, 100_000, False),
        (50, 1_650_000, False),
    ]
]


class Ends:
    """When rounds ended."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self.stamps: list[float] = []
        self.used: list[float] = []

    def round(self, row: dict[str, Any], rounds: int) -> None:
        """A callback of the round loop."""
        self.rows.append(row)
        self.stamps.append(time.perf_counter())
        self.used.append(time.process_time())


def measured(case: Case) -> dict[str, float]:
    """The least seconds of every part over the rounds of a case.

    Besides ``round``, all the rest, and ``driver``, processor time of this process.
    """
    large = case.cohort * case.floats * 4 > _LARGE
    rounds = _ROUNDS_LARGE if large else _ROUNDS
    with tempfile.TemporaryDirectory(prefix="fedzda-bench-") as out:
        engine = {"name": "ray", "workers": case.workers} if case.workers else {"name": "inline"}
        weighting = "size" if case.reduced else "uniform"
        strategy = {"name": "fed-avg", "clients_per_round": case.cohort, "weighting": weighting}
        config = {
            "name": "costs",
            "rounds": rounds,
            "data": {"name": "digits", "clients": 1000, "test_fraction": 0.0},
            "model": {
                "target": "engine_cases.models:EchoModel",
                "args": {"floats": case.floats},
            },
            "strategy": strategy,
            "engine": {"device": "cpu", **engine},
            "evaluate": {"every": 0},
            "checkpoint": {"every": rounds},
            "report": False,
            "output": out,
        }
        ends = Ends()
        EchoSimulation.build(from_dict(config), folder=BENCHMARKS).run([ends])
    timed = ends.rows[2:-1]
    found = {part: min(row["seconds"][part] for row in timed) for part in _PARTS}
    gaps = np.diff(ends.stamps)[1:-1] - [row["seconds"]["total"] for row in timed]
    found["round"] = float(gaps.min())
    found["driver"] = float(np.diff(ends.used)[1:-1].min())
    print(f"  {case}: " + ", ".join(f"{k} {v:.4f}" for k, v in found.items()), flush=True)
    return found


def fit(where: dict[str, Any]) -> dict[str, Any]:
    """The rates of this machine as plain data."""
    rows = [(case, measured(case)) for case in CASES]
    fitted = explained(rows)
    fitted["round"] = float(np.median([found["round"] for _, found in rows]))
    fitted["machine"] = f"{where['processor']}, {where['cores']} cores"
    fitted["date"] = where["date"]
    return {**fitted, **launches()}


def explained(rows: list[tuple[Case, dict[str, float]]]) -> dict[str, Any]:
    """The shipped rates with those replaced that the measured parts of rounds speak of."""
    start = shipped_rates()
    names = list(_FITTED)

    def rates(logs: np.ndarray) -> Rates:
        return start.model_copy(update=dict(zip(names, np.exp(logs).tolist(), strict=True)))

    def residuals(logs: np.ndarray) -> np.ndarray:
        now, gaps = rates(logs), []
        for case, found in rows:
            told = round_seconds(case.load, now)
            # what the engine calls transfer lies inside training; a large model makes most of it
            told["train"] += told["transfer"]
            for part in _PARTS:
                if part != "transfer" or case.floats >= _SENT:
                    gaps.append(np.log((told[part] + 1e-5) / (found[part] + 1e-5)))
            if case.workers:
                gaps.append(np.log(driver_seconds(case.load, now) / found["driver"]))
        return np.array(gaps)

    best = least_squares(
        residuals, np.log([max(getattr(start, name), _LEAST) for name in names]), loss="soft_l1"
    )
    print(f"  typical error of a part: {np.exp(np.median(np.abs(best.fun))) - 1:.0%}", flush=True)
    return rates(best.x).model_dump()


def launches() -> dict[str, float]:
    """Start of a process and of Ray, and the end of a run: medians of three."""
    inline, one, two, plain = (
        np.median([_launch(*options) for _ in range(3)], axis=0).tolist()
        for options in (("inline", 1), ("ray", 1), ("ray", WORKERS), ("inline", 1, True))
    )
    start, finish = inline
    ray_one, ray_two = one[0], two[0]
    worker = max(ray_two - ray_one, 0.0) / (WORKERS - 1) * (os.cpu_count() or 1)
    return {
        "start": start,
        "start_worker": worker,
        "start_ray": max(ray_two - start - worker * WORKERS / (os.cpu_count() or 1), 0.0),
        "finish": finish,
        "stop_ray": max(two[1] - finish, 0.0),
        "report": max(plain[1] - finish, 0.0),
    }


def _launch(engine: str, workers: int, report: bool = False) -> tuple[float, float]:
    """Seconds before the first round, and after the last, of a run of three rounds."""
    with tempfile.TemporaryDirectory(prefix="fedzda-bench-") as folder:
        home = Path(folder)
        settings = [f"engine.name={engine}", "rounds=3", f"report={str(report).lower()}"]
        if engine == "ray":
            settings.append(f"engine.workers={workers}")
        command = [sys.executable, "-m", "fedzda", "run", "quickstart-fed-avg", *settings]
        ended = run(command, home / "log.txt", _TIMEOUT_SEC, until=home / "runs", folder=home)
        if ended.problem:
            raise RuntimeError(ended.problem)
        lines = next(home.glob("runs/*/rounds.jsonl")).read_text().splitlines()
        rounds = [json.loads(line)["seconds"]["total"] for line in lines]
    before = ended.event_sec - rounds[0]
    print(f"  {engine} {workers}: {before:.2f} s to the first round", flush=True)
    return before, ended.seconds - ended.event_sec - sum(rounds[1:])
