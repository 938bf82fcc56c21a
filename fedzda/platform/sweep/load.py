"""Reading a sweep file, with all problems of all its cells at once."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

import fedzda
from fedzda.base import UserError
from fedzda.platform import plugins
from fedzda.platform.config.load import find_source, folder_of
from fedzda.platform.config.overrides import Sources
from fedzda.platform.config.problems import KEY_SIMILARITY, from_pydantic, render, suggestion
from fedzda.platform.config.yaml_loader import load_file
from fedzda.platform.sweep.config import RangeConfig, SweepConfig


@dataclass(frozen=True)
class Sweep:
    """A sweep file, read.

    Attributes:
        source: What was asked for, as it is written on the command line.
        config: Its content.
        base: The base simulation as plain data.
        folder: Where relative paths and plug-ins of the base are looked up.
    """

    source: str
    config: SweepConfig
    base: dict[str, Any]
    folder: Path


def shipped_sweeps() -> dict[str, Path]:
    """The sweeps that come with fedzda, by name."""
    folder = Path(fedzda.__file__).parent / "sims" / "studies"
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def load_sweep(source: str) -> Sweep:
    """Read a sweep file or a shipped sweep.

    Raises:
        UserError: There is no such file, or it is wrong; its cells are not looked at.
    """
    path = _find(source)
    document = load_file(path, source)
    problems = [f"{source}:{line}: {sentence}" for line, sentence in document.problems]
    if not isinstance(document.data, dict):
        raise UserError(f"{source}:1: the file should be a block of keys such as 'name: …'.")
    if "strategy" in document.data and "base" not in document.data:
        raise UserError(f"{source} is a simulation: it has no 'base'. Run it: fedzda run {source}")
    try:
        config = SweepConfig.model_validate(document.data)
    except ValidationError as error:
        found = from_pydantic(error, SweepConfig, document.data)
        raise UserError(*problems, *render(found, Sources(source, dict(document.lines)))) from error
    problems += [f"{source}: {sentence}" for sentence in _inconsistent(config)]
    if problems:
        raise UserError(*problems)
    base, folder = _base(config, path)
    plugins.add_plugin_folder(folder, [document.data, base])
    return Sweep(source, config, base, folder)


def _find(source: str) -> Path:
    path, known = Path(source), shipped_sweeps()
    if path.is_file():
        return path
    if path.is_dir():
        raise UserError(f"'{source}' is a folder. Name a YAML file in it.")
    if source in known:
        return known[source]
    hint = suggestion(path.stem, known, KEY_SIMILARITY)
    raise UserError(
        f"there is no file '{source}', and no shipped sweep of that name.{hint} "
        f"Shipped: {', '.join(known)}."
    )


def _base(config: SweepConfig, path: Path) -> tuple[dict[str, Any], Path]:
    if isinstance(config.base, dict):
        return config.base, folder_of(path)
    beside = path.parent / config.base
    found, label = (beside, config.base) if beside.is_file() else find_source(config.base)
    document = load_file(found, label)
    if not isinstance(document.data, dict):
        raise UserError(f"{label}:1: the file should be a block of keys such as 'name: …'.")
    if document.problems:
        raise UserError(*(f"{label}:{line}: {sentence}" for line, sentence in document.problems))
    return document.data, folder_of(found)


def _inconsistent(config: SweepConfig) -> list[str]:
    """What no single key gets wrong: names that refer to nothing."""
    problems = []
    for key, wanted in (("baseline", config.baseline), ("alone", config.alone)):
        if wanted is not None and wanted not in config.arms:
            hint = suggestion(wanted, config.arms, KEY_SIMILARITY)
            problems.append(f"'{key}' is '{wanted}', and there is no such arm.{hint}")
    for name, arm in config.arms.items():
        for axis, values in arm.only.items():
            for value in values:
                if value not in config.axes.get(axis, {}):
                    problems.append(
                        f"'arms.{name}.only' names {axis}={value}, which is no axis and value of "
                        "this file."
                    )
    for axis in {"arm", "seed"} & {*config.axes, *config.grid}:
        problems.append(f"an axis cannot be called '{axis}'. Choose another name.")
    problems += _ranges(config)
    empty = [f"axes.{axis}" for axis, values in config.axes.items() if not values]
    empty += [f"grid.{key}" for key, values in config.grid.items() if not values]
    return problems + [f"'{key}' has no values. Give it some, or remove it." for key in empty]


def _ranges(config: SweepConfig) -> list[str]:
    """Ranges of random points from which nothing can be drawn."""
    problems = []
    for key, space in (config.random.space if config.random else {}).items():
        if not isinstance(space, RangeConfig):
            continue
        place = f"'random.space.{key}'"
        if space.low > space.high:
            problems.append(
                f"{place} goes from {space.low:g} down to {space.high:g}. Exchange low and high."
            )
        if space.log and min(space.low, space.high) <= 0:
            least = min(space.low, space.high)
            problems.append(
                f"{place} has log: true, and {least:g} has no logarithm. Take ends above 0."
            )
    return problems
