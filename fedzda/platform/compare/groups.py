"""Runs of one configuration: what differs in nothing but the seed is one group."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fedzda.base import UserError
from fedzda.platform.compare.sources import Measured, measured
from fedzda.platform.report.units import DASH, Metric, metric


@dataclass(frozen=True)
class Group:
    """Runs of one configuration, by ascending seed."""

    label: str
    runs: list[Measured]

    @property
    def config(self) -> dict[str, str]:
        """What they have in common."""
        return self.runs[0].config

    @property
    def metric(self) -> Metric:
        """What is compared, and how it is shown."""
        first = self.runs[0]
        return metric(first.metric, first.higher_is_better)

    @property
    def seeds(self) -> list[int]:
        """Their seeds."""
        return [run.seed for run in self.runs]


def groups_of(paths: Sequence[Path], baseline: str | None = None) -> list[Group]:
    """Runs by configuration without seeds, the baseline first; errors as :func:`compare_runs`."""
    if not paths:
        raise UserError("compare needs at least one run folder, none was given.")
    runs = measured(paths)
    shown = {run.metric for run in runs}
    if len(shown) > 1:
        raise UserError(
            f"runs must measure the same metric, found {', '.join(sorted(shown))}: "
            "compare runs of one task at a time."
        )
    tasks = sorted({str(run.config["task.name"]) for run in runs if "task.name" in run.config})
    if len(tasks) > 1:
        raise UserError(
            f"runs must be of the same task, found {', '.join(tasks)}: what both call "
            f"'{shown.pop()}' is not taken in the same way. Compare runs of one task at a time."
        )
    groups = _groups(runs)
    known = [group.label for group in groups]
    if baseline is not None and baseline not in known:
        raise UserError(
            f"baseline '{baseline}' is none of the groups. Choose one of: {', '.join(known)}."
        )
    first = known.index(baseline) if baseline is not None else 0
    return [groups[first], *groups[:first], *groups[first + 1 :]]


def _groups(runs: list[Measured]) -> list[Group]:
    """Runs by configuration without seeds.

    A seed given twice opens a further group: a repeated run is the same run and must not narrow
    an interval.
    """
    found: dict[tuple[str, int], list[Measured]] = {}
    for run in runs:
        key = json.dumps(run.config, sort_keys=True)
        copy = 0
        while any(run.seed == other.seed for other in found.get((key, copy), [])):
            copy += 1
        found.setdefault((key, copy), []).append(run)
    gathered = [sorted(own, key=lambda run: run.seed) for own in found.values()]
    return [Group(label, own) for label, own in zip(_labels(gathered), gathered, strict=True)]


def _labels(gathered: list[list[Measured]]) -> list[str]:
    """Names; those that several groups have with the strategy, where it tells them apart."""
    names = [own[0].name for own in gathered]
    used = [own[0].config.get("strategy.name") for own in gathered]
    full = [f"{name} ({kind})" if kind else name for name, kind in zip(names, used, strict=True)]
    told = []
    for i, (name, longer) in enumerate(zip(names, full, strict=True)):
        number = names[: i + 1].count(name)
        equal = [other for other, own in zip(full, names, strict=True) if own == name]
        distinct = len(set(equal)) == len(equal) and name not in equal
        told.append(name if len(equal) == 1 else longer if distinct else f"{name} #{number}")
    return told


def differences(groups: list[Group]) -> dict[str, list[str]]:
    """Dotted configuration key to its value in each group, only where they differ."""
    keys = dict.fromkeys(key for group in groups for key in group.config)
    table = {key: [group.config.get(key, DASH) for group in groups] for key in keys}
    return {key: values for key, values in table.items() if len(set(values)) > 1}
