"""The cells of a sweep: which simulations it consists of, and in which order they run."""

from __future__ import annotations

import copy
import hashlib
import json
import math
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

from fedzda.base import UserError, numpy_rng
from fedzda.platform.config import SimulationConfig
from fedzda.platform.config.load import from_dict
from fedzda.platform.config.overrides import Sources, apply_overrides
from fedzda.platform.sweep.config import ArmConfig, Changes, ChoiceConfig, RangeConfig, SweepConfig
from fedzda.platform.sweep.load import Sweep

_FREE = ("name", "output", "engine", "report", "checkpoint", "trackers")
"""Keys that change where and how a cell runs, but none of its figures."""
_LONGEST_NAME = 64


@dataclass(frozen=True)
class Cell:
    """One simulation of a sweep.

    Attributes:
        labels: Axis to value: the axes of the file, ``arm``, the keys of the grid, ``point``.
        group: Group of its arm.
        seed: Seed of the run.
        raw: Its configuration as plain data, defaults not filled in.
        gpu: Whether it is left out on machines without a GPU.
        axes: How many of the labels name folders of results: those of ``axes:``.
        point: Dotted key to value of a listed or drawn point, whose label is only a number.
    """

    labels: dict[str, str]
    group: str
    seed: int
    raw: dict[str, Any]
    gpu: bool
    axes: int
    point: Changes = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What the cell is called in file names: ``mnist/fed-avg-s0``."""
        words = [slugged(value) for value in self.labels.values()]
        last = "-".join([*words[self.axes :], f"s{self.seed}"])
        return "/".join([*words[: self.axes], last])

    @property
    def text(self) -> str:
        """What ``--only`` takes to run this cell alone."""
        return ",".join(f"{axis}={value}" for axis, value in self.selectors.items())

    @property
    def selectors(self) -> dict[str, str]:
        """Labels and seed as text."""
        return {**self.labels, "seed": str(self.seed)}

    @property
    def hash(self) -> str:
        """Eight hex digits of what the file says about the cell's figures.

        Defaults are not part of it, so that a new key of a later version leaves results valid; the
        version and the commit that made a result stand in it.
        """
        content = {key: value for key, value in self.raw.items() if key not in _FREE}
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:8]

    def config(self) -> SimulationConfig:
        """The validated configuration. Raises UserError with all its problems."""
        return from_dict(self.raw, source=f"cell {self.text}")


def expand(sweep: Sweep) -> list[Cell]:
    """All cells, in the order in which they run: group, axes, points, seed, arm.

    Raises:
        UserError: A change cannot be applied, or a cell is no valid simulation; all problems.
    """
    config = sweep.config
    kinds: dict[str, dict[str, Any]] = {}
    cells, problems = [], list[str]()
    for group, combination, point, seed, arm in _combinations(config):
        labels, changes = _merged(combination, point, arm)
        kind = json.dumps(labels)
        if kind not in kinds:
            kinds[kind], unusable = _applied(sweep.base, changes)
            problems += [f"{sweep.source}: {text}" for text in unusable]
        data = kinds[kind] | {"seed": seed, "output": config.output, "report": False}
        choices = [arm[1], *(choice for _, _, choice in combination)]
        gpu = any(choice.requires == "gpu" for choice in choices)
        own = {k: v for k, v in point[1].items() if k not in labels} if "point" in labels else {}
        cell = Cell(labels, group, seed, data, gpu, len(config.axes), own)
        data["name"] = _run_name(config.name, cell.name)
        cells.append(cell)
    problems += _invalid(cells, config.seeds[0])
    problems += _repeated(cells)
    if problems:
        raise UserError(*dict.fromkeys(problems))
    return cells


def select(cells: Sequence[Cell], only: Sequence[str]) -> list[Cell]:
    """Cells that match: several values of one axis are alternatives, several axes add up.

    Args:
        only: ``axis=value[,axis=value…]`` each.

    Raises:
        UserError: Not of that form, or an axis or value that no cell has.
    """
    values: dict[str, set[str]] = {}
    for cell in cells:
        for axis, value in cell.selectors.items():
            values.setdefault(axis, set()).add(value)
    wanted: dict[str, set[str]] = {}
    for item in (part for text in only for part in _items(text, values)):
        axis, equals, value = item.partition("=")
        known = sorted(values.get(axis, ()))
        if not equals or value not in known:
            told = f"Axes: {', '.join(sorted(values))}"
            told = f"Values of {axis}: {', '.join(known)}" if known else told
            raise UserError(f"--only '{item}' matches no cell. {told}.")
        wanted.setdefault(axis, set()).add(value)
    return [
        cell
        for cell in cells
        if all(cell.selectors.get(axis) in chosen for axis, chosen in wanted.items())
    ]


def _items(text: str, values: Mapping[str, Collection[str]]) -> list[str]:
    """``axis=value`` each; a comma inside a value, as in a block of the grid, parts nothing."""
    found: list[str] = []
    for piece in text.split(","):
        before = found[-1] if found else ""
        axis, _, begun = before.partition("=")
        if any(value.startswith(f"{begun},{piece}") for value in values.get(axis, ())):
            found[-1] = f"{before},{piece}"
        else:
            found.append(piece)
    return found


_Axis = tuple[str, str, ChoiceConfig]


def _combinations(
    config: SweepConfig,
) -> Iterator[tuple[str, tuple[_Axis, ...], tuple[dict[str, str], Changes], int, Any]]:
    arms = config.arms or {"": ArmConfig()}
    groups = dict.fromkeys(arm.group for arm in arms.values())
    axes = [
        [(axis, name, choice) for name, choice in values.items()]
        for axis, values in config.axes.items()
    ]
    points = list(_points(config))
    for group, combination, point, seed in product(groups, product(*axes), points, config.seeds):
        names = {axis: name for axis, name, _ in combination}
        for name, arm in arms.items():
            allowed = all(names[axis] in values for axis, values in arm.only.items())
            if arm.group == group and allowed:
                yield group, combination, point, seed, (name, arm)


def _points(config: SweepConfig) -> Iterator[tuple[dict[str, str], Changes]]:
    """Labels and changes of grid, listed and drawn points."""
    listed: list[tuple[dict[str, str], Changes]] = [
        ({"point": str(number)}, changes) for number, changes in enumerate(config.points)
    ]
    if config.random is not None:
        for number in range(config.random.draws):
            rng = numpy_rng(config.random.seed, "sweep-point", number)
            drawn = {key: _drawn(space, rng) for key, space in config.random.space.items()}
            listed.append(({"point": f"r{number}"}, drawn))
    values = [[(key, value) for value in known] for key, known in config.grid.items()]
    for combination in product(*values):
        named = {key: _written(value) for key, value in combination}
        for labels, changes in listed or [({}, {})]:
            yield {**named, **labels}, {**dict(combination), **changes}


def _drawn(space: RangeConfig | list[Any], rng: Any) -> Any:
    if isinstance(space, list):
        return space[int(rng.integers(len(space)))]
    share = float(rng.random())
    if not space.log:
        return space.low + share * (space.high - space.low)
    low, high = math.log(space.low), math.log(space.high)
    return math.exp(low + share * (high - low))


def _merged(
    combination: tuple[_Axis, ...],
    point: tuple[dict[str, str], Changes],
    arm: tuple[str, ArmConfig],
) -> tuple[dict[str, str], list[tuple[str, Any]]]:
    """Labels, and changes in the order in which they apply: axes, arm, point."""
    labels = {axis: name for axis, name, _ in combination}
    if arm[0]:
        labels["arm"] = arm[0]
    blocks = [*(choice.changes for _, _, choice in combination), arm[1].changes, point[1]]
    return {**labels, **point[0]}, [item for block in blocks for item in block.items()]


def _applied(
    base: dict[str, Any], changes: list[tuple[str, Any]]
) -> tuple[dict[str, Any], list[str]]:
    overrides = [f"{key}={json.dumps(value)}" for key, value in changes]
    data, problems = apply_overrides(copy.deepcopy(base), overrides, Sources("sweep"))
    return data, [f"change '{text}' {sentence}" for text, sentence in problems]


def _invalid(cells: list[Cell], first_seed: int) -> list[str]:
    """What is wrong with the cells of one seed; the others differ in nothing else."""
    problems: list[str] = []
    for cell in cells:
        if cell.seed == first_seed:
            try:
                cell.config()
            except UserError as error:
                problems += error.problems
    return problems


def _repeated(cells: list[Cell]) -> list[str]:
    counts = Counter(cell.name for cell in cells)
    return [
        f"{count} cells are called '{name}'. Give every value of seeds, grid and axes once, and "
        "names that differ in letters and digits."
        for name, count in counts.items()
        if count > 1
    ]


def _written(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)


def slugged(text: str) -> str:
    """A label as a part of a file's name."""
    return re.sub(r"[^A-Za-z0-9._-]+", "_", text).strip("_") or "_"


def _run_name(sweep: str, cell: str) -> str:
    """A valid name of the run; what tells cells apart stands at its end."""
    name = f"{sweep}-{cell.replace('/', '-')}"
    return name if len(name) <= _LONGEST_NAME else f"c{name[-_LONGEST_NAME + 1 :]}"


def result_path(sweep: Sweep, cell: Cell) -> Path:
    """Where a cell's result is kept."""
    import os

    root = Path(os.path.expandvars(sweep.config.results)).expanduser()
    return root / f"{cell.name}.json"
