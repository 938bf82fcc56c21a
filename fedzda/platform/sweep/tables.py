"""Tables of a sweep: every arm with 95 % intervals over seeds, and paired with the baseline.

Intervals are Student's t over seeds. Differences are taken seed by seed, which removes what all
arms of a seed share: its partition, its cohorts, its initial weights.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from fedzda.platform.compare import t_interval
from fedzda.platform.report.units import DASH, Metric, metric
from fedzda.platform.sweep.cells import Cell, slugged
from fedzda.platform.sweep.config import SweepConfig
from fedzda.platform.sweep.load import Sweep
from fedzda.platform.sweep.results import Result, read_result

BySeed = dict[int, float]
"""A figure of each seed."""


@dataclass(frozen=True)
class Estimate:
    """A mean over seeds.

    Attributes:
        mean: The mean.
        half: Half the width of its 95 % interval; NaN for a single seed.
        n: Number of seeds.
    """

    mean: float
    half: float
    n: int

    @property
    def low(self) -> float:
        """Low end of the interval; NaN for a single seed."""
        return self.mean - self.half

    @property
    def high(self) -> float:
        """High end of the interval; NaN for a single seed."""
        return self.mean + self.half


def estimate(values: Iterable[float]) -> Estimate | None:
    """Mean and 95 % t-interval; None without values."""
    found = list(values)
    if not found:
        return None
    mean = float(np.mean(found))
    half = t_interval(found)[1] - mean if len(found) > 1 else float("nan")
    return Estimate(mean, half, len(found))


def paired(first: BySeed, second: BySeed) -> Estimate | None:
    """``second - first`` over the seeds that both have."""
    return estimate(second[seed] - first[seed] for seed in sorted(set(first) & set(second)))


class Setting:
    """The finished cells of one combination of axes and points.

    Args:
        config: The sweep.
        labels: Axis to value of the combination, arms left out.
        results: Its finished cells.
    """

    def __init__(
        self, config: SweepConfig, labels: dict[str, str], results: Sequence[Result]
    ) -> None:
        self.config, self.labels = config, labels
        self.arms: dict[str, dict[int, Result]] = {}
        for result in results:
            arm = result.cell.labels.get("arm", "")
            self.arms.setdefault(arm, {})[result.cell.seed] = result

    @property
    def metric(self) -> Metric:
        """What the figures are of; all cells of a sweep have one task."""
        found = [result for own in self.arms.values() for result in own.values()]
        return found[0].metric if found else metric("accuracy")

    @property
    def title(self) -> str:
        """What the combination is called."""
        return ", ".join(self._told(axis, value) for axis, value in self.labels.items())

    def _told(self, axis: str, value: str) -> str:
        """What a label is called: as the file says, or with what it stands for."""
        if axis in self.config.axes:
            return self.config.axes[axis][value].about or value
        if axis != "point":
            return f"{axis} {value}"
        cells = [result.cell for own in self.arms.values() for result in own.values()]
        changes = [
            f"{key} {v:.4g}" if isinstance(v, float) else f"{key} {json.dumps(v)}"
            for key, v in (cells[0].point.items() if cells else ())
        ]
        return f"point {value} ({', '.join(changes)})"

    @property
    def slug(self) -> str:
        """The same for file names."""
        return "-".join(map(slugged, self.labels.values())) or self.config.name

    def groups(self) -> list[str]:
        """Groups that have a finished cell, in the order of the file."""
        done = {self.config.arms[arm].group for arm in self.arms if arm in self.config.arms}
        order = dict.fromkeys(arm.group for arm in self.config.arms.values())
        return [group for group in order if group in done] or [""]

    def arms_of(self, group: str) -> list[str]:
        """Arms of a group that have a finished cell, in the order of the file."""
        if not group:
            return list(self.arms)
        return [
            name
            for name, arm in self.config.arms.items()
            if arm.group == group and name in self.arms
        ]

    def figure(self, arm: str, name: str, stage: str = "global") -> BySeed:
        """A figure of an arm by seed; empty where it has none."""
        found = {s: r.figure(name, stage) for s, r in self.arms.get(arm, {}).items()}
        return {seed: value for seed, value in found.items() if value is not None}

    def worse_off(self, arm: str, stage: str = "global") -> BySeed:
        """Share of the clients with a worse average than in the arm ``alone``, by seed."""
        sign = 1 if self.metric.higher_is_better else -1
        alone = self.arms.get(self.config.alone or "", {})
        shares = {}
        for seed, result in self.arms.get(arm, {}).items():
            if seed in alone:
                own, other = result.clients(stage), alone[seed].clients("personalised")
                both = sorted(set(own) & set(other))
                if both:
                    shares[seed] = float(np.mean([sign * own[c] < sign * other[c] for c in both]))
        return shares

    def cost(self, arm: str, name: str) -> BySeed:
        """``cpu_seconds`` or ``bytes`` (both ways) by seed."""
        results = self.arms.get(arm, {})
        if name == "bytes":
            return {s: float(sum(r.data["bytes"].values())) for s, r in results.items()}
        return {s: float(r.data[name]) for s, r in results.items()}

    def stages(self, arm: str) -> list[str]:
        """Stages that an arm was evaluated in."""
        found = [set(result.data["figures"]) for result in self.arms[arm].values()]
        return [s for s in ("global", "personalised") if any(s in own for own in found)]


def settings(sweep: Sweep, cells: Sequence[Cell]) -> list[Setting]:
    """Finished cells by combination of axes and points, in the order of the file."""
    found: dict[tuple[tuple[str, str], ...], list[Result]] = {}
    for cell in cells:
        result = read_result(sweep, cell)
        if result is not None:
            labels = tuple((k, v) for k, v in cell.labels.items() if k != "arm")
            found.setdefault(labels, []).append(result)
    order = {axis: list(values) for axis, values in sweep.config.axes.items()}
    made = [Setting(sweep.config, dict(labels), own) for labels, own in found.items()]
    return sorted(
        made,
        key=lambda s: [order[a].index(v) if a in order else 0 for a, v in s.labels.items()],
    )


_Column = tuple[str, Callable[[str, str], str]]


def figures_table(setting: Setting, group: str) -> str:
    """Markdown: figures of every arm and stage of a group, averaged over the last rounds."""
    shown = setting.metric
    unit = f" {shown.unit}" if shown.unit else ""
    plain, digits = shown.scale, None if not shown.fraction else 1

    def value(name: str, scale: float) -> Callable[[str, str], str]:
        return lambda arm, stage: _shown(setting.figure(arm, name, stage), scale, digits)

    columns: list[_Column] = [
        ("seeds", lambda arm, stage: str(len(setting.arms[arm]))),
        (f"mean{unit}", value("mean", plain)),
        (f"weighted mean{unit}", value("weighted_mean", plain)),
        (_worst(shown), value("worst10", plain)),
        (shown.variance_of("variance"), value("variance_pp2", shown.variance_scale)),
        ("Gini", lambda a, s: _shown(setting.figure(a, "gini", s), 1, 3)),
    ]
    if setting.config.alone:
        columns.append(("worse off than alone %", lambda a, s: _shown(_off(setting, a, s), 100, 0)))
    return _table(setting, group, columns)


def _worst(shown: Metric) -> str:
    """``worst-10 %`` reads as both the share of clients and the unit; other units are added."""
    return "worst-10 %" + (f" ({shown.unit})" if shown.unit and not shown.fraction else "")


def _off(setting: Setting, arm: str, stage: str) -> BySeed:
    return {} if arm == setting.config.alone else setting.worse_off(arm, stage)


def differences_table(setting: Setting, group: str) -> str:
    """Markdown: paired differences to the baseline, and what the arms cost."""
    base, shown = setting.config.baseline or "", setting.metric
    own = setting.stages(base)[0] if base in setting.arms else "global"

    def gap(arm: str, stage: str, name: str, scale: float) -> str:
        if arm == base:
            return DASH
        found = paired(setting.figure(base, name, own), setting.figure(arm, name, stage))
        return DASH if found is None else _signed(found, scale, shown.fraction)

    columns: list[_Column] = [
        ("Δ mean", lambda a, s: gap(a, s, "mean", shown.scale)),
        ("Δ worst-10 %", lambda a, s: gap(a, s, "worst10", shown.scale)),
        ("Δ variance", lambda a, s: gap(a, s, "variance_pp2", shown.variance_scale)),
        ("CPU s", lambda a, s: _shown(setting.cost(a, "cpu_seconds"), 1, 0, half=False)),
        ("MB sent", lambda a, s: _shown(setting.cost(a, "bytes"), 1e-6, 1, half=False)),
    ]
    return _table(setting, group, columns)


def _table(setting: Setting, group: str, columns: list[_Column]) -> str:
    lines = ["| arm | " + " | ".join(name for name, _ in columns) + " |"]
    lines.append("|---" * (len(columns) + 1) + "|")
    for arm in setting.arms_of(group):
        for stage in setting.stages(arm):
            name = arm if stage == "global" else f"{arm}, personalised"
            cells = [write(arm, stage) for _, write in columns]
            lines.append("| " + " | ".join([name, *cells]) + " |")
    return "\n".join(lines)


def _shown(values: BySeed, scale: float, digits: int | None = 1, half: bool = True) -> str:
    """A mean with half its interval; ``digits`` decimals, None: four significant figures."""
    found = estimate(scale * value for value in values.values())
    if found is None:
        return DASH
    form = ".4g" if digits is None else f".{digits}f"
    if not half or found.n < 2:
        return f"{found.mean:{form}}"
    return f"{found.mean:{form}} ± {found.half:{form}}"


def _signed(found: Estimate, scale: float, fraction: bool) -> str:
    form = ".1f" if fraction else ".3g"
    text = f"{scale * found.mean:+{form}}"
    return (text if found.n < 2 else f"{text} ± {scale * found.half:{form}}").replace("-", "−")
