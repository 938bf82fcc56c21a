"""What a sweep will do and cost, before anything runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from fedzda.platform.cli.text import human_time, table
from fedzda.platform.costs.forecast import forecast
from fedzda.platform.costs.rates import shipped_rates
from fedzda.platform.simulation import Simulation
from fedzda.platform.sweep.cells import Cell
from fedzda.platform.sweep.load import Sweep
from fedzda.platform.sweep.results import read_result
from fedzda.platform.sweep.runner import runnable

_UNKNOWN = "unknown"


def plan(
    sweep: Sweep, cells: Sequence[Cell], jobs: int, on_kind: Callable[[str, int, int], None]
) -> str:
    """A line per kind of cell (all labels but the seed), and the sum.

    The time of a cell is the mean of its finished siblings; where there are none, a prediction from
    a pilot of a few rounds.

    Args:
        sweep: The sweep.
        cells: Its cells, or some.
        jobs: Cells at once.
        on_kind: Called with a kind's name, its number (from 1) and how many there are, before its
            time is found: a pilot takes seconds.
    """
    able = {cell.name for cell in runnable(cells)}
    kinds: dict[str, list[Cell]] = {}
    for cell in cells:
        kinds.setdefault(" ".join(cell.labels.values()), []).append(cell)
    rows = [("cell", "seeds", "done", "to run", "each", "all")]
    total, unknown = 0.0, False
    for number, (name, own) in enumerate(kinds.items(), 1):
        on_kind(name, number, len(kinds))
        results = [read_result(sweep, cell) for cell in own]
        waiting = [c for c, r in zip(own, results, strict=True) if r is None and c.name in able]
        each = [r.data["seconds"] for r in results if r is not None]
        seconds = float(np.mean(each)) if each else _predicted(sweep, waiting)
        unknown |= bool(waiting) and seconds is None
        total += len(waiting) * (seconds or 0.0)
        known = seconds is not None
        rows.append(
            (
                name or own[0].name,
                str(len(own)),
                str(sum(r is not None for r in results)),
                str(len(waiting)) if own[0].name in able else "needs a GPU",
                human_time(seconds) if seconds is not None else _UNKNOWN,
                human_time(len(waiting) * seconds) if known and seconds is not None else _UNKNOWN,
            )
        )
    sentence = f"Time to run what is left, {jobs} at once: about {human_time(total / jobs)}"
    return f"{table(rows)}\n\n{sentence}{' and the unknown cells' if unknown else ''}."


def _predicted(sweep: Sweep, waiting: list[Cell]) -> float | None:
    """Seconds of one cell while the machine does nothing else; None if nothing is to be run."""
    if not waiting:
        return None
    simulation = Simulation.build(waiting[0].config(), sweep.folder)
    found = forecast(simulation, shipped_rates())
    return None if found is None else found.total
