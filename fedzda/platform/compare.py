"""Compares finished runs: what differs in their configurations, then their fairness figures.

Runs that differ in nothing but the seed (and where they were written) form one group. A group of
several seeds gets intervals over seeds (Student's t: a bootstrap over five values is far too
narrow); a single run gets intervals over its clients. Differences to the first group are paired,
by seed or by client.
"""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fedzda.base import UserError
from fedzda.platform.fairness import INTERVALS, intervals, paired_intervals
from fedzda.platform.report.data import main_metric
from fedzda.platform.report.load import ClientValues, RunFiles, client_values, read_run
from fedzda.platform.report.units import DASH, Metric, metric

Interval = list[float] | None
_FIGURES = ("mean", "worst 10 %", "variance (pp²)")
_IGNORED = ("seed", "data.seed", "output")


@dataclass(frozen=True)
class Comparison:
    """The outcome of :func:`compare_runs`.

    Attributes:
        metric: The metric compared.
        labels: Name of each group of runs, in the order given.
        differences: Dotted configuration key to its value in each group, only where they differ.
        rows: One mapping per group with stored (not per cent) values: ``run``, ``paths``,
            ``seeds``, ``clients``, ``interval`` (what intervals are over), ``last10_mean`` and for
            ``mean``, ``worst10`` and ``variance_pp2`` the value, ``…_low``, ``…_high`` and the
            paired difference to the first group ``…_difference``, ``…_difference_low``,
            ``…_difference_high``, with ``pairs`` saying what was paired. Undefined is None.
    """

    metric: str
    labels: list[str]
    differences: dict[str, list[str]]
    rows: list[dict[str, Any]]

    def text(self, width: int | None = None) -> str:
        """Tables as plain text, ``width`` columns wide (as wide as the terminal if left out)."""
        from rich import box
        from rich.console import Console
        from rich.table import Table

        out = io.StringIO()
        columns = width or shutil.get_terminal_size((100, 24)).columns
        console = Console(file=out, width=columns, color_system=None, markup=False, emoji=False)
        for title, head, body in _tables(self):
            table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
            for heading in head:
                table.add_column(heading, overflow="fold", no_wrap=heading in _FIGURES)
            for line in body:
                table.add_row(*line)
            console.print(table)
        return out.getvalue()

    def csv(self, path: Path) -> None:
        """Write :attr:`rows` as CSV; seeds and paths are separated by blanks."""
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, fieldnames=list(self.rows[0]))
            writer.writeheader()
            for row in self.rows:
                listed = {k: " ".join(map(str, row[k])) for k in ("paths", "seeds")}
                writer.writerow(row | listed)


@dataclass(frozen=True)
class _Group:
    """Runs of one configuration, by ascending seed."""

    config: dict[str, str]
    runs: list[RunFiles]

    @property
    def seeds(self) -> list[int]:
        return [_seed(run) for run in self.runs]


def compare_runs(paths: Sequence[Path]) -> Comparison:
    """Compare run folders.

    Raises:
        UserError: A folder is no run folder or its run is not finished (its state is named), or
            the runs do not measure the same thing. All such problems at once.
    """
    if not paths:
        raise UserError("compare needs at least one run folder, none was given.")
    runs = _read_all(paths)
    shown = {main_metric(run) for run in runs}
    if len(shown) > 1:
        raise UserError(
            f"runs must measure the same metric, found {', '.join(sorted(shown))}: "
            "compare runs of one task at a time."
        )
    name = shown.pop()
    groups = _groups(runs)
    labels = _labels(groups)
    values = [_final_values(group, name) for group in groups]
    rows = [
        _row(label, group, name, value) | _paired(groups[0], group, name, values[0], value)
        for label, group, value in zip(labels, groups, values, strict=True)
    ]
    return Comparison(name, labels, _differences(groups), rows)


def _read_all(paths: Sequence[Path]) -> list[RunFiles]:
    runs: list[RunFiles] = []
    problems: list[str] = []
    for path in paths:
        try:
            run = read_run(path)
        except UserError as error:
            problems += error.problems
            continue
        if run.state != "finished":
            problems.append(
                f"run '{path}' is not finished (state: {run.state}): "
                f"continue it with 'fedzda resume {path}'."
            )
        elif not run.summary.get("metrics", {}).get(main_metric(run), {}).get("n"):
            problems.append(f"run '{path}' evaluated no client: set evaluate.every above 0.")
        else:
            runs.append(run)
    if problems:
        raise UserError(*problems)
    return runs


# ---------------------------------------------------------------------------------------------
# Groups and their configurations


def _seed(run: RunFiles) -> int:
    return int(run.config.get("seed", run.summary.get("seed", 0)))


def flatten(config: dict[str, Any], before: str = "") -> dict[str, str]:
    """Nested blocks as dotted keys; values as JSON, text without quotes."""
    found: dict[str, str] = {}
    for key, value in config.items():
        if isinstance(value, dict) and value:
            found |= flatten(value, f"{before}{key}.")
        else:
            written = json.dumps(value, default=str, ensure_ascii=False)
            found[f"{before}{key}"] = value if isinstance(value, str) else written
    return found


def _groups(runs: list[RunFiles]) -> list[_Group]:
    """Runs by configuration without seeds.

    A seed given twice opens a further group: a repeated run is the same run and must not narrow
    an interval.
    """
    found: dict[tuple[str, int], _Group] = {}
    for run in runs:
        config = {k: v for k, v in flatten(run.config).items() if k not in _IGNORED}
        key = json.dumps(config, sort_keys=True)
        copy = 0
        while (key, copy) in found and _seed(run) in found[key, copy].seeds:
            copy += 1
        found.setdefault((key, copy), _Group(config, [])).runs.append(run)
    for group in found.values():
        group.runs.sort(key=_seed)
    return list(found.values())


def _labels(groups: list[_Group]) -> list[str]:
    names = [group.config.get("name") or group.runs[0].path.name for group in groups]
    return [
        name if names.count(name) == 1 else f"{name} #{names[: i + 1].count(name)}"
        for i, name in enumerate(names)
    ]


def _differences(groups: list[_Group]) -> dict[str, list[str]]:
    keys = dict.fromkeys(key for group in groups for key in group.config)
    table = {key: [group.config.get(key, DASH) for group in groups] for key in keys}
    return {key: values for key, values in table.items() if len(set(values)) > 1}


# ---------------------------------------------------------------------------------------------
# Figures


def _stored(run: RunFiles, name: str) -> dict[str, Any]:
    found: dict[str, Any] = run.summary["metrics"][name]
    return found


def _final_values(group: _Group, name: str) -> ClientValues | None:
    """Values of every client, needed only where a single run stands for its group."""
    return client_values(group.runs[0].path, name) if len(group.runs) == 1 else None


def _row(label: str, group: _Group, name: str, values: ClientValues | None) -> dict[str, Any]:
    stored = [_stored(run, name) for run in group.runs]
    clients = [int(found["n"]) for found in stored]
    over = f"{len(stored)} seeds" if len(stored) > 1 else f"{clients[0]:,} clients"
    row: dict[str, Any] = {
        "run": label,
        "paths": [str(run.path) for run in group.runs],
        "seeds": group.seeds,
        "clients": clients[0] if len(set(clients)) == 1 else round(float(np.mean(clients)), 1),
        "interval": over,
        "last10_mean": _mean([found.get("last10_mean") for found in stored]),
    }
    spread = _single(stored[0], name, values)
    for key in INTERVALS:
        numbers = [float(found[key]) for found in stored]
        pair = _bounded(key, name, t_interval(numbers)) if len(stored) > 1 else spread[key]
        row |= _columns(key, float(np.mean(numbers)), pair)
    return row


def _single(found: dict[str, Any], name: str, values: ClientValues | None) -> dict[str, Interval]:
    """Intervals over the clients of one run: those it stored, the variance's from its clients."""
    drawn: dict[str, Interval] = dict.fromkeys(INTERVALS)
    if values is not None:
        drawn = intervals(values.value, higher_is_better=metric(name).higher_is_better)
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


def _bounded(key: str, name: str, pair: list[float]) -> list[float]:
    """An interval cut at what the figure can be: t knows no limits."""
    low = 0.0 if key == "variance_pp2" or metric(name).fraction else -np.inf
    high = 1.0 if key != "variance_pp2" and metric(name).fraction else np.inf
    return [max(low, pair[0]), min(high, pair[1])]


def _paired(
    first: _Group, group: _Group, name: str, one: ClientValues | None, two: ClientValues | None
) -> dict[str, Any]:
    """Differences to the first group: by common seeds, else by common clients, else none."""
    stored = [{_seed(r): _stored(r, name) for r in g.runs} for g in (first, group)]
    common = sorted(set(stored[0]) & set(stored[1]))
    drawn: dict[str, Interval] = dict.fromkeys(INTERVALS)
    pairs = ""
    if group is first:
        common = []
    elif len(common) > 1:
        pairs = f"{len(common)} seeds"
    elif common and one is not None and two is not None and _same_clients(first, group, one, two):
        better = metric(name).higher_is_better
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


def _same_clients(a: _Group, b: _Group, one: ClientValues, two: ClientValues) -> bool:
    """Whether two runs of one seed split the same data the same way."""
    data = [run.config.get("data") for run in (a.runs[0], b.runs[0])]
    return data[0] == data[1] and np.array_equal(one.client, two.client)


# ---------------------------------------------------------------------------------------------
# Text


def _tables(found: Comparison) -> list[tuple[str, list[str], list[list[str]]]]:
    """Title, headings and lines of each table that has lines."""
    shown = metric(found.metric)
    config = [[key, *values] for key, values in found.differences.items()]
    result = [
        [row["run"], *(_cell(shown, row, key) for key in INTERVALS),
         shown.show(row["last10_mean"]), row["interval"]]
        for row in found.rows
    ]  # fmt: skip
    gaps = [
        [row["run"], *(_gap(shown, row, key) for key in INTERVALS), row["pairs"]]
        for row in found.rows
        if row["pairs"]
    ]
    in_points = " in points" if shown.fraction else ""
    head = list(_FIGURES)
    tables = [
        ("Configuration", ["key", *found.labels], config),
        (f"{shown.title} of the clients, 95 % intervals",
         ["run", *head, "last 10 rounds", "interval over"], result),
        (f"Difference to {found.labels[0]}{in_points}, 95 % intervals",
         ["run", *head, "paired over"], gaps),
    ]  # fmt: skip
    return [table for table in tables if table[2]]


def _cell(shown: Metric, row: dict[str, Any], key: str) -> str:
    if key == "variance_pp2":
        value, pair = f"{row[key]:.1f}", _between(row, key, "{:.1f}".format)
    else:
        value, pair = shown.show(row[key]), _between(row, key, _plain(shown))
    return f"{value}\n[{pair}]" if pair else value


def _gap(shown: Metric, row: dict[str, Any], key: str) -> str:
    key = f"{key}_difference"
    scale = 100.0 if shown.fraction and "variance" not in key else 1.0

    def write(value: float) -> str:
        digits = 1 if shown.fraction else 4
        return f"{round(scale * value, digits) + 0.0:+.{digits}f}".replace("-", "−")

    pair = _between(row, key, write)
    return f"{write(row[key])}\n[{pair}]" if pair else write(row[key])


def _plain(shown: Metric) -> Callable[[float], str]:
    return lambda value: shown.show(value).removesuffix("\u00a0%")


def _between(row: dict[str, Any], key: str, write: Callable[[float], str]) -> str:
    low, high = row[f"{key}_low"], row[f"{key}_high"]
    return "" if low is None else f"{write(low)}, {write(high)}"
