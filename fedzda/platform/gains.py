"""What clients gain over training alone, read from two run folders."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from fedzda.base import UserError
from fedzda.platform.config.load import leaves
from fedzda.platform.config.problems import dotted
from fedzda.platform.fairness import gain
from fedzda.platform.report.load import read_run
from fedzda.platform.report.units import Metric
from fedzda.platform.report.units import metric as metric_named
from fedzda.platform.runs import load

_NOT_DEALT = ("missing_classes", "attribute")
"""Keys of ``data`` that do not decide who holds what."""
_ALONE = "local-only"
"""The strategy of the runs that gains are taken over."""


def gain_over_local(run: Path, local: Path, metric: str | None = None) -> dict[str, Any]:
    """:func:`fedzda.platform.fairness.gain` at the last evaluated round of both runs, by client.

    Args:
        run: A run folder.
        local: That of a run in which clients train alone.
        metric: Left out: the one that the run's report is about.

    Raises:
        UserError: a folder is no run, was never evaluated on ``metric``, or shares no client; or
            in the second, clients do not train alone or hold other data.
    """
    require_alone(local)
    require_same_data(run, local)
    shown = _shown(run, metric)
    federated = _final(run, shown.name, "global")
    alone = _final(local, shown.name, "personalised")
    both = federated.index.intersection(alone.index)
    if both.empty:
        raise UserError(f"runs '{run}' and '{local}' have no evaluated client in common.")
    values, baseline = federated[both].to_numpy(), alone[both].to_numpy()
    return gain(values, baseline, higher_is_better=shown.higher_is_better)


def sentence(run: Path, local: Path) -> str:
    """The gain in the metric that the run's report is about, as a line for the terminal."""
    found, shown = gain_over_local(run, local), _shown(run)
    if not found["n"]:
        return f"{run.name}: no client has a value both in this run and alone"
    mean = shown.scale * found["mean_gain"]
    if shown.fraction:
        gained = f"{mean:+.1f} points" + ("" if shown.name == "accuracy" else f" of {shown.words}")
    else:
        less = "" if shown.higher_is_better else " (a plus is less of it)"
        gained = f"{mean:+.4g}{f' {shown.unit}' if shown.unit else ''} of {shown.words}{less}"
    over = f"{gained} over training alone in the mean of {found['n']} clients"
    return f"{run.name}: {over}; {found['share_worse_off']:.0%} are worse off"


def _shown(run: Path, name: str | None = None) -> Metric:
    """A metric of a run, or the one that its report is about."""
    from fedzda.platform.report.data import main_metric  # which imports this module

    folder = read_run(run)
    return metric_named(name or main_metric(folder), folder.higher_is_better)


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


def require_same_data(run: Path, local: Path) -> None:
    """Refuse runs whose clients of one number are not the same client."""
    dealt = [_dealt(read_run(path).config) for path in (run, local)]
    other = [key for key in dealt[0] if key in dealt[1] and dealt[0][key] != dealt[1][key]]
    if other:
        found = ", ".join(f"{key} is {dealt[0][key]} and {dealt[1][key]}" for key in other)
        raise UserError(
            f"runs '{run}' and '{local}' hold other data, so a client of one is not that of "
            f"the other ({found}). Make a local-only run with the same 'data' and seed."
        )


def _dealt(config: dict[str, Any]) -> dict[str, Any]:
    """Dotted key to value of what says which samples a client holds; of foreign apps nothing."""
    data = dict(config.get("data") or {})
    if not data:
        return {}
    seed = data.pop("seed", None)
    for key in _NOT_DEALT:
        data.pop(key, None)
    found = {dotted(path): value for path, value in leaves({"data": data})}
    return {"seed": config.get("seed") if seed is None else seed, **found}
