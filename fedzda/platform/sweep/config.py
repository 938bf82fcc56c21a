"""The configuration of a sweep: one base simulation and what is varied about it.

Every variation is a set of changes, ``{dotted key: value}``, with the meaning of overrides on the
command line: the value takes the place of what stood there, a whole block included.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from fedzda.base import StrictConfig

Changes = dict[str, Any]
_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]*$"


class ChoiceConfig(StrictConfig):
    """One value of an axis."""

    changes: Changes = Field(default={})
    """What it changes about the base: dotted key to value."""
    requires: Literal["gpu"] | None = None
    """Left out of the sweep on machines without one."""
    about: str = ""
    """One line for tables."""


class ArmConfig(ChoiceConfig):
    """One of the things that are compared, usually a strategy."""

    group: str = "arms"
    """Arms of one group share a table; groups run one after the other, in the order in which the
    file first names them."""
    only: dict[str, list[str]] = Field(default={})
    """Values of axes that the arm is run with; an axis that is left out: all of its values."""


class RandomConfig(StrictConfig):
    """Points drawn at random."""

    draws: int = Field(ge=1)
    """Number of points."""
    seed: int = Field(default=0, ge=0)
    """Seed of the draws; a point depends on this and its own number, not on ``draws``."""
    space: dict[str, RangeConfig | list[Any]] = Field(min_length=1)
    """Dotted key to a range, or to a list of values of equal chance."""


class RangeConfig(StrictConfig):
    """A range of numbers."""

    low: float
    """Smallest value."""
    high: float
    """Largest value."""
    log: bool = False
    """Draw the logarithm uniformly (both ends above 0)."""


class SweepConfig(StrictConfig):
    """Cells: every combination of arms, axes, grid, points and seeds."""

    name: str = Field(pattern=_NAME)
    """Name of the sweep: letters, digits, dot, dash, underscore."""
    base: str | dict[str, Any]
    """The simulation that is varied: its keys, or a file or shipped simulation to take them
    from."""
    axes: dict[str, dict[str, ChoiceConfig]] = Field(default={})
    """Axis to its values: name to changes."""
    arms: dict[str, ArmConfig] = Field(default={})
    """What is compared: name to changes."""
    grid: dict[str, list[Any]] = Field(default={})
    """Dotted key to its values; all combinations."""
    points: list[Changes] = Field(default=[])
    """Listed points, each a set of changes."""
    random: RandomConfig | None = None
    """Drawn points, after the listed ones."""
    seeds: list[int] = Field(default=[0], min_length=1)
    """Seeds, the same for all cells, so that comparisons are paired."""
    baseline: str | None = None
    """The arm that differences are taken to."""
    alone: str | None = None
    """The arm in which every client trains alone: who is worse off than in it?"""
    last: int = Field(default=10, ge=1)
    """Figures are averages over so many last evaluated rounds."""
    results: str
    """Folder of the result files, relative to the working directory."""
    output: str = "runs"
    """Folder of the run folders and resolved configurations."""
    keep_runs: bool = True
    """Keep a cell's run folder after its result is written."""


RandomConfig.model_rebuild()
