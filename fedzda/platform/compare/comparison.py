"""The figures of a comparison, their intervals, and paired differences."""

from __future__ import annotations

import io
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fedzda.platform.compare.groups import Group, differences, groups_of
from fedzda.platform.compare.tables import Tables, headings, tables
from fedzda.platform.fairness import INTERVALS, intervals, paired_intervals
from fedzda.platform.report.load import ClientValues
from fedzda.platform.report.units import Metric

Interval = list[float] | None


@dataclass(frozen=True)
class Comparison:
    """The outcome of :func:`compare_runs`.

    Attributes:
        shown: The metric compared.
        labels: Name of each group of runs, in the order given.
        differences: Dotted configuration key to its value in each group, only where they differ.
        rows: One mapping per group with stored (not per cent) values: ``run``, ``paths``,
            ``seeds``, ``clients``, ``interval`` (what intervals are over), ``last10_mean`` and for
            ``mean``, ``worst10`` and ``variance_pp2`` the value, ``…_low``, ``…_high`` and the
            paired difference to the first group ``…_difference``, ``…_difference_low``,
            ``…_difference_high``, with ``pairs`` saying what was paired. Undefined is None.
    """

    shown: Metric
    labels: list[str]
    differences: dict[str, list[str]]
    rows: list[dict[str, Any]]

    @property
    def metric(self) -> str:
        """Name of the metric compared."""
        return self.shown.name

    def text(self, width: int | None = None) -> str:
        """Tables as plain text, ``width`` columns wide (as wide as the terminal if left out)."""
        from rich import box
        from rich.console import Console
        from rich.table import Table

        out = io.StringIO()
        columns = width or shutil.get_terminal_size((100, 24)).columns
        console = Console(file=out, width=columns, color_system=None, markup=False, emoji=False)
        figures = headings(self.shown)
        for title, head, body in self.tables():
            table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
            for heading in head:
                table.add_column(heading, overflow="fold", no_wrap=heading in figures)
            for line in body:
                table.add_row(*line)
            console.print(table)
        if self.unpaired:
            console.print(self.unpaired)
        return out.getvalue()

    @property
    def unpaired(self) -> str:
        """Which groups have no difference to the first one, and why; empty: all have one."""
        without = [row["run"] for row in self.rows[1:] if not row["pairs"]]
        if not without:
            return ""
        return (
            f"No difference to {self.labels[0]} is shown for {', '.join(without)}: pairs need two "
            "seeds in common, or one run each of the same seed and of data dealt in the same way."
        )

    def tables(self) -> Tables:
        """Title, headings and lines of each table of :meth:`text` that has lines."""
        return tables(self)


def compare_runs(paths: Sequence[Path], baseline: str | None = None) -> Comparison:
    """Compare run folders, result files of sweeps, or folders of result files.

    Args:
        paths: What to compare.
        baseline: Label of the group that differences are taken to; left out: the first.

    Raises:
        UserError: A path is nothing that can be compared, its run is not finished (its state is
            named), the runs do not measure the same thing, or no group has that label. All such
            problems at once.
    """
    groups = groups_of(paths, baseline)
    shown = groups[0].metric
    values = [_final_values(group) for group in groups]
    rows = [
        _row(group, shown, value) | _paired(groups[0], group, shown, values[0], value)
        for group, value in zip(groups, values, strict=True)
    ]
    return Comparison(shown, [group.label for group in groups], differences(groups), rows)


def _final_values(group: Group) -> ClientValues | None:
    """Values of every client, needed only where a single run stands for its group."""
    return group.runs[0].clients() if len(group.runs) == 1 else None


def _row(group: Group, shown: Metric, values: ClientValues | None) -> dict[str, Any]:
    stored = [run.figures for run in group.runs]
    clients = [int(found["n"]) for found in stored]
    over = f"{len(stored)} seeds" if len(stored) > 1 else f"{clients[0]:,} clients"
    row: dict[str, Any] = {
        "run": group.label,
        "paths": [str(run.path) for run in group.runs],
        "seeds": group.seeds,
        "clients": clients[0] if len(set(clients)) == 1 else round(float(np.mean(clients)), 1),
        "interval": over,
        "last10_mean": _mean([found.get("last10_mean") for found in stored]),
    }
    spread = _single(stored[0], shown, values)
    for key in INTERVALS:
        numbers = [float(found[key]) for found in stored]
        pair = _bounded(key, shown, t_interval(numbers)) if len(stored) > 1 else spread[key]
        row |= _columns(key, float(np.mean(numbers)), pair)
    return row


def _single(
    found: dict[str, Any], shown: Metric, values: ClientValues | None
) -> dict[str, Interval]:
    """Intervals over the clients of one run: those it stored, the variance's from its clients."""
    drawn: dict[str, Interval] = dict.fromkeys(INTERVALS)
    if values is not None:
        drawn = intervals(values.value, higher_is_better=shown.higher_is_better)
    stored = {key: found.get(f"{key}_ci95") for key in ("mean", "worst10")}
    return drawn | {key: pair for key, pair in stored.items() if pair}


def _columns(key: str, value: float | None, pair: Interval) -> dict[str, Any]:
    low, high = pair or (None, None)
    return {key: value, f"{key}_low": low, f"{key}_high": high}


def _mean(numbers: list[float | None]) -> float | None:
    known = [x for x in numbers if x is not None]
    return float(np.mean(known)) if known and len(known) == len(numbers) else None


def t_interval(numbers: Sequence[float]) -> list[float]:
    """95 % interval of the mean of at least two numbers, Student's t with ``n - 1`` degrees."""
    from scipy import stats  # type: ignore[import-untyped]  # 0.5 s, needed only here

    a = np.asarray(numbers, dtype=np.float64)
    error = float(stats.t.ppf(0.975, a.size - 1)) * a.std(ddof=1) / np.sqrt(a.size)
    return [float(a.mean() - error), float(a.mean() + error)]


def _bounded(key: str, shown: Metric, pair: list[float]) -> list[float]:
    """An interval cut at what the figure can be: t knows no limits."""
    low = 0.0 if key == "variance_pp2" or shown.fraction else -np.inf
    high = 1.0 if key != "variance_pp2" and shown.fraction else np.inf
    return [max(low, pair[0]), min(high, pair[1])]


def _paired(
    first: Group, group: Group, shown: Metric, one: ClientValues | None, two: ClientValues | None
) -> dict[str, Any]:
    """Differences to the first group: by common seeds, else by common clients, else none."""
    stored = [{run.seed: run.figures for run in own.runs} for own in (first, group)]
    common = sorted(set(stored[0]) & set(stored[1]))
    drawn: dict[str, Interval] = dict.fromkeys(INTERVALS)
    pairs = ""
    if group is first:
        common = []
    elif len(common) > 1:
        pairs = f"{len(common)} seeds"
    elif common and one is not None and two is not None and _same_clients(first, group, one, two):
        better = shown.higher_is_better
        drawn = paired_intervals(one.value, two.value, higher_is_better=better)
        pairs = f"{one.client.size:,} clients"
    if not pairs:
        common = []
    row: dict[str, Any] = {"pairs": pairs}
    for key in INTERVALS:
        gaps = [float(stored[1][s][key]) - float(stored[0][s][key]) for s in common]
        pair = t_interval(gaps) if len(gaps) > 1 else drawn[key]
        row |= _columns(f"{key}_difference", float(np.mean(gaps)) if gaps else None, pair)
    return row


def _same_clients(a: Group, b: Group, one: ClientValues, two: ClientValues) -> bool:
    """Whether two runs of one seed split the same data the same way."""
    return a.runs[0].data == b.runs[0].data and np.array_equal(one.client, two.client)
