"""What a sweep will do and cost, before anything runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from fedzda.platform.cli.text import human_time, table
from fedzda.platform.sweep.cells import Cell
from fedzda.platform.sweep.duration import Kind, kinds_of, time_kinds
from fedzda.platform.sweep.load import Sweep
from fedzda.platform.sweep.runner import runnable


def plan(sweep: Sweep, cells: Sequence[Cell], jobs: int, on_pilot: Callable[[str], None]) -> str:
    """A line per kind of cell (all labels but the seed), and the sum.

    Args:
        sweep: The sweep.
        cells: Its cells, or some.
        jobs: Cells at once.
        on_pilot: Called with a kind's name before it is timed, which takes seconds.
    """
    kinds = kinds_of(sweep, cells, runnable(cells))
    time_kinds(sweep, kinds, on_pilot)
    head = ("cell", "seeds", "done", "to run", "each", "all")
    lines = [table([head, *map(_row, kinds)]), ""]
    if any(kind.estimated for kind in kinds):
        lines.append("~: estimated from the other cells; there are too many to time each kind.")
    total = sum(len(kind.waiting) * (kind.seconds or 0.0) for kind in kinds)
    unknown = any(kind.waiting and kind.seconds is None for kind in kinds)
    lines.append(
        f"Time to run what is left, {jobs} at once: about {human_time(total / jobs)}"
        f"{' and the unknown cells' if unknown else ''}."
    )
    return "\n".join(lines)


def _row(kind: Kind) -> tuple[str, ...]:
    left_out = len(kind.waiting) + len(kind.results) < len(kind.cells)
    waiting, each, together = len(kind.waiting), "unknown", "unknown"
    if kind.seconds is not None:
        mark = "~" if kind.estimated else ""
        each, together = (f"{mark}{human_time(n * kind.seconds)}" for n in (1, waiting))
    return (
        kind.name,
        str(len(kind.cells)),
        str(len(kind.results)),
        "needs a GPU" if left_out else str(waiting),
        each,
        together,
    )
