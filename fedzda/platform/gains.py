"""What clients gain over training alone, read from two run folders."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from fedzda.base import UserError
from fedzda.platform.fairness import gain
from fedzda.platform.report.load import read_run
from fedzda.platform.runs import load

_ALONE = "local-only"
"""The strategy of the runs that gains are taken over."""


def gain_over_local(run: Path, local: Path, metric: str = "accuracy") -> dict[str, Any]:
    """:func:`fedzda.platform.fairness.gain` at the last evaluated round of both runs, by client.

    Raises:
        UserError: a folder is no run, was never evaluated on ``metric``, or shares no client; or
            in the second, clients do not train alone.
    """
    require_alone(local)
    federated, alone = _final(run, metric, "global"), _final(local, metric, "personalised")
    both = federated.index.intersection(alone.index)
    if both.empty:
        raise UserError(f"runs '{run}' and '{local}' have no evaluated client in common.")
    return gain(federated[both].to_numpy(), alone[both].to_numpy())


def sentence(run: Path, local: Path) -> str:
    """The gain in accuracy as a line for the terminal."""
    found = gain_over_local(run, local)
    points, worse = 100 * np.float64(found["mean_gain"]), found["share_worse_off"]
    over = f"{points:+.1f} points over training alone in the mean of {found['n']} clients"
    return f"{run.name}: {over}; {worse:.0%} are worse off"


def require_alone(local: Path) -> None:
    """Refuse a run in which clients train together as the one that others are compared with.

    A strategy of the user's own (``target``) is taken at their word.

    Raises:
        UserError: The strategy has another name.
    """
    name = (read_run(local).config.get("strategy") or {}).get("name")
    if name not in (None, _ALONE):
        raise UserError(
            f"--local must be a run in which clients train alone (strategy '{_ALONE}'), and "
            f"'{local}' is one of '{name}'. Make one on the same data: "
            f"fedzda run FILE strategy='{{name: {_ALONE}}}'."
        )


def _final(path: Path, metric: str, stage: str) -> pd.Series[float]:
    """The clients' values of a stage, or of the only other one."""
    table = load(path).clients
    rows = table[(table.phase == "evaluate") & (table.split == "test") & (table.metric == metric)]
    if rows.empty:
        raise UserError(f"run '{path}' has no '{metric}' on the clients' test samples.")
    if (rows.stage == stage).any():
        rows = rows[rows.stage == stage]
    last: pd.Series[float] = rows[rows["round"] == rows["round"].max()].set_index("client")["value"]
    return last
