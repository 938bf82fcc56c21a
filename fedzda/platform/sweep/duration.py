"""How long the cells of a sweep take: by finished siblings, by a pilot, or by their relatives.

A kind is all cells that differ in the seed only.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from fedzda.platform.sweep.cells import Cell
from fedzda.platform.sweep.load import Sweep
from fedzda.platform.sweep.results import Result, read_result

PILOTS_SEC = 30.0
"""Pilots are begun for so long; what is not timed then is estimated (our choice)."""


@dataclass
class Kind:
    """Cells that differ in the seed only.

    Attributes:
        cells: All of them.
        results: Of those that are finished.
        waiting: Those that this machine can run and that have no result.
        seconds: Of one cell; None: not known.
        estimated: Whether ``seconds`` is no more than what relatives suggest.
    """

    cells: list[Cell]
    results: list[Result]
    waiting: list[Cell]
    seconds: float | None = None
    estimated: bool = False

    @property
    def name(self) -> str:
        """The values of its labels."""
        return " ".join(self.cells[0].labels.values()) or self.cells[0].name

    @property
    def labels(self) -> set[tuple[str, str]]:
        """Axes and values."""
        return set(self.cells[0].labels.items())


def kinds_of(sweep: Sweep, cells: Sequence[Cell], able: Sequence[Cell]) -> list[Kind]:
    """The kinds of ``cells`` in their order; ``able``: what this machine can run."""
    can_run = {cell.name for cell in able}
    found: dict[tuple[str, ...], Kind] = {}
    for cell in cells:
        kind = found.setdefault(tuple(cell.labels.values()), Kind([], [], []))
        kind.cells.append(cell)
        result = read_result(sweep, cell)
        if result is not None:
            kind.results.append(result)
        elif cell.name in can_run:
            kind.waiting.append(cell)
    return list(found.values())


def time_kinds(sweep: Sweep, kinds: Sequence[Kind], on_pilot: Callable[[str], None]) -> None:
    """Set ``seconds`` of every kind that is finished in part or waits.

    Args:
        sweep: The sweep.
        kinds: All kinds.
        on_pilot: Called with a kind's name before its pilot, which takes seconds.
    """
    for kind in kinds:
        if kind.results:
            kind.seconds = float(np.mean([each.data["seconds"] for each in kind.results]))
    known = [kind for kind in kinds if kind.seconds is not None]
    left = [kind for kind in kinds if kind.seconds is None and kind.waiting]
    seen = {label for kind in known for label in kind.labels}
    start = time.perf_counter()
    while left and time.perf_counter() - start < PILOTS_SEC:
        kind = max(left, key=lambda each: len(each.labels - seen))  # the first of the newest
        left.remove(kind)
        seen |= kind.labels
        on_pilot(kind.name)
        kind.seconds = _predicted(sweep, kind.waiting[0])
        if kind.seconds is not None:
            known.append(kind)
    _estimate(left, known)


def _estimate(kinds: Sequence[Kind], known: Sequence[Kind]) -> None:
    """Seconds as a product of a factor per value of every axis, fitted to the known kinds.

    Least squares of the logarithms; a value that no known kind has counts with the factor 1.
    """
    if not kinds or not known:
        return
    values = sorted({label for kind in known for label in kind.labels})

    def design(rows: Sequence[Kind]) -> np.ndarray:
        return np.array([[value in kind.labels for value in values] for kind in rows], float)

    logs = np.log([kind.seconds for kind in known if kind.seconds is not None])
    factors = np.linalg.lstsq(design(known), logs - logs.mean(), rcond=None)[0]
    for kind, log in zip(kinds, logs.mean() + design(kinds) @ factors, strict=True):
        kind.seconds, kind.estimated = float(np.exp(log)), True


def _predicted(sweep: Sweep, cell: Cell) -> float | None:
    """Seconds of a cell while the machine does nothing else; None: its engine has no model."""
    from fedzda.platform.costs.forecast import forecast  # torch, which a finished sweep needs not
    from fedzda.platform.costs.rates import shipped_rates
    from fedzda.platform.simulation import Simulation

    found = forecast(Simulation.build(cell.config(), sweep.folder), shipped_rates())
    return None if found is None else found.total
