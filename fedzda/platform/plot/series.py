"""What figures are drawn of: curves and clients' values of run folders and of result files."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fedzda.base import UserError
from fedzda.platform.compare import Group, groups_of
from fedzda.platform.compare.sources import Measured
from fedzda.platform.report.data import RunData, collect
from fedzda.platform.report.load import Floats, Ints, read_run


def pooled(group: Group) -> Floats:
    """The final values of all clients of all seeds of a group, ascending, undefined ones left out.

    Raises:
        UserError: No client of the group has a value.
    """
    found = [run.clients() for run in group.runs]
    values = np.concatenate([np.empty(0), *(own.value for own in found if own is not None)])
    values = np.sort(values[np.isfinite(values)])
    if not values.size:
        raise UserError(f"'{group.label}' has no value of a single client to draw.")
    return values


def curves(group: Group, figure: str) -> tuple[Ints, Floats]:
    """Rounds ``(R,)`` that all runs of a group evaluated, and the figure in them ``(seeds, R)``.

    Raises:
        UserError: The runs have no evaluated round in common.
    """
    each = [_curve(run, figure) for run in group.runs]
    common = sorted(set.intersection(*(set(own) for own in each)))
    if not common:
        raise UserError(f"the runs of '{group.label}' have no evaluated round in common.")
    values = [[own[round_] for round_ in common] for own in each]
    return np.array(common, dtype=np.int64), np.array(values, dtype=np.float64)


def _curve(run: Measured, figure: str) -> dict[int, float]:
    if run.path.is_dir():
        rows = ((row["round"], row.get("metrics") or {}) for row in read_run(run.path).rounds)
        named = ((int(r), (metrics.get(run.metric) or {}).get(figure)) for r, metrics in rows)
        return {r: float(value) for r, value in named if value is not None}
    data = json.loads(run.path.read_text(encoding="utf-8"))
    stage = next(iter(data["curves"]))
    return dict(zip(data["evaluated"], data["curves"][stage][figure], strict=True))


def single_run(paths: Sequence[Path], figure: str) -> RunData:
    """The one run that a map shows, evaluated and finished or not.

    Raises:
        UserError: There are several runs, or a result file, which does not keep what is needed.
    """
    if len(paths) == 1 and (paths[0] / "config.yaml").is_file():
        return collect(paths[0])
    runs = [run for group in groups_of(paths) for run in group.runs]
    if len(runs) != 1:
        raise UserError(f"--figure {figure} shows a single run (got {len(runs)}). Name one.")
    if not runs[0].path.is_dir():
        raise UserError(
            f"--figure {figure} needs a run folder; '{runs[0].path}' is a result of a sweep, which "
            "keeps no classes. Set keep_runs: true in the sweep."
        )
    return collect(runs[0].path)


def over(group: Group) -> str:
    """``3 seeds`` or ``1 seed``."""
    return f"{len(group.runs)} seed" + ("s" if len(group.runs) > 1 else "")
