"""Reading the file of a life, with all problems of all its stages at once."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

import fedzda
from fedzda.base import UserError
from fedzda.platform import plugins
from fedzda.platform.config.load import folder_of, shipped
from fedzda.platform.config.overrides import Sources, apply_overrides
from fedzda.platform.config.problems import (
    KEY_SIMILARITY,
    Problem,
    from_pydantic,
    render,
    suggestion,
)
from fedzda.platform.config.yaml_loader import Document, load_file
from fedzda.platform.lifecycle.commands import Command
from fedzda.platform.lifecycle.config import LifeConfig, StageConfig
from fedzda.platform.lifecycle.references import problem_of, references
from fedzda.platform.lifecycle.stages import CommandStage, SimulationStage, Stage

PLACE = Path("LIFE")
"""Stands for the folder of a life that is not run yet."""


@dataclass(frozen=True)
class Life:
    """The file of a life, read and checked.

    Attributes:
        config: Its content; simulations have all their keys in their stages.
        stages: What is to be done, in order.
        folder: Where relative paths and plug-ins are looked up.
        notes: What :meth:`Stage.check` says of each stage.
    """

    config: LifeConfig
    stages: list[Stage]
    folder: Path
    notes: list[str]


def shipped_lives() -> dict[str, Path]:
    """The lives that come with fedzda, by name."""
    folder = Path(fedzda.__file__).parent / "sims" / "lives"
    return {path.stem: path for path in sorted(folder.glob("*.yaml"))}


def life_file(source: str) -> Path | None:
    """The file of a life: one that has stages, or a shipped one; None for anything else."""
    path = Path(source)
    if not path.is_file():
        return shipped_lives().get(source)
    try:
        data = load_file(path, source).data
    except UserError:  # it is read again by those who report what is wrong
        return None
    return path if isinstance(data, dict) and "stages" in data else None


def load_life(
    path: Path,
    overrides: Sequence[str] = (),
    *,
    folder: Path | None = None,
    fast: Sequence[str] | None = None,
) -> Life:
    """Read a life, apply overrides, and check every stage.

    Args:
        path: The file.
        overrides: ``a.b=value`` each, from the top of the file.
        folder: Where relative paths and plug-ins are looked up; left out: as for a simulation.
        fast: Overrides of the life for ``--fast``, which also makes every stage tiny.

    Raises:
        UserError: With every problem found.
    """
    folder = folder.resolve() if folder else folder_of(path)
    document = load_file(path, path.name)
    plugins.add_plugin_folder(folder, [document.data, *overrides])
    sources = Sources(path.name, dict(document.lines))
    config = _read(document, sources, [*(fast or []), *overrides])
    made: dict[str, StageConfig] = {}
    stages: list[Stage] = []
    notes, problems = [], []
    for name, stage in config.stages.items():
        try:
            built, made[name] = _stage(name, stage, config, sources, folder, fast is not None)
            _check_references(built, list(config.stages))
            notes.append(built.check(PLACE))
            stages.append(built)
        except UserError as error:
            problems += [_placed(said, name, stage.changes, sources) for said in error.problems]
    if problems:
        raise UserError(*dict.fromkeys(problems))
    whole = config.model_copy(update={"stages": made, "shared": {}})
    return Life(whole, stages, folder, notes)


def _read(document: Document, sources: Sources, overrides: Sequence[str]) -> LifeConfig:
    """The blocks of the file; the insides of its stages are not looked at yet."""
    found = [Problem((), sentence, line=line) for line, sentence in document.problems]
    data, unusable = apply_overrides(document.data, overrides, sources)
    found += [Problem((), sentence, override=text) for text, sentence in unusable]
    try:
        config = LifeConfig.model_validate(data)
    except ValidationError as error:
        found += from_pydantic(error, LifeConfig, data)
    if found:
        raise UserError(*render(found, sources))
    return config


def _placed(sentence: str, stage: str, changes: Mapping[str, Any], sources: Sources) -> str:
    """A sentence with its line, or that of its stage, unless it has a place already."""
    if sentence.startswith(f"{sources.label}:"):
        return sentence
    path: tuple[str, ...] = ("stages", stage)
    for key, text in zip(changes, _as_overrides(changes), strict=True):
        if sentence.startswith(f"override '{text}': "):
            path = (*path, "changes", key)
            sentence = f"stage '{stage}', change {sentence.removeprefix('override ')}"
    if sentence.startswith("override '"):
        return sentence
    return f"{sources.label}:{sources.line_of(path)}: {sentence}"


def _check_references(stage: Stage, names: Sequence[str]) -> None:
    found = [problem_of(ref, stage.name, names) for _, ref in references(stage.taken)]
    if problems := [problem for problem in found if problem]:
        raise UserError(*problems)


def _stage(
    name: str, stage: StageConfig, config: LifeConfig, sources: Sources, folder: Path, fast: bool
) -> tuple[Stage, StageConfig]:
    """A stage to run, and its block with all that it says."""
    if stage.command is not None:
        options = {**stage.options, **(stage.tiny if fast else {})}
        built = CommandStage(name, Command(stage.command), options, config.seed)
        return built, stage.model_copy(update={"options": options, "tiny": {}})
    raw, own = _keys(name, stage, config, sources, folder)
    changes = _as_overrides(stage.changes)
    raw, unusable = apply_overrides(raw, changes, own)
    if unusable:
        raise UserError(*(f"stage '{name}', change '{text}': {why}" for text, why in unusable))
    simulation = SimulationStage(name, raw, own, folder)
    if fast:
        from fedzda.platform.cli.fast import fast_overrides

        tiny = [*fast_overrides(simulation.config(PLACE)), *_as_overrides(stage.tiny)]
        raw, _ = apply_overrides(raw, tiny, own)
        simulation = SimulationStage(name, raw, own, folder)
    whole = stage.model_copy(update={"simulation": raw, "changes": {}, "tiny": {}})
    return simulation, whole


def _keys(
    name: str, stage: StageConfig, config: LifeConfig, sources: Sources, folder: Path
) -> tuple[dict[str, Any], Sources]:
    """The keys of a simulation, those that it shares included, and where they were written."""
    given = stage.simulation
    own = Sources(sources.label)
    if isinstance(given, str):
        path = _named(given, folder)
        document = load_file(path, path.name)
        given, own = document.data, Sources(path.name, dict(document.lines))
        if not isinstance(given, dict):
            raise UserError(f"stage '{name}': '{path.name}' is no block of keys.")
        if document.problems:
            raise UserError(*(f"{path.name}:{line}: {said}" for line, said in document.problems))
        # a shipped simulation's seed is a default that nobody of this life has asked for
        theirs_alone = {"name"} if path.parent == folder else {"name", "seed"}
        given = {key: value for key, value in given.items() if key not in theirs_alone}
    else:
        own = _below(sources, ("stages", name, "simulation"))
    assert given is not None
    shared = {key: value for key, value in config.shared.items() if key not in given}
    top = {"name": name, "seed": config.seed, "output": config.output}
    if own.label == sources.label:
        theirs = _below(sources, ("shared",))
        own.lines |= {path: line for path, line in theirs.lines.items() if path[0] in shared}
        own.overrides |= {p: text for p, text in theirs.overrides.items() if p[0] in shared}
    return {**top, **shared, **given}, own


def _named(source: str, folder: Path) -> Path:
    """The file of a simulation beside the life, or of a shipped one."""
    beside, known = folder / source, shipped()
    if beside.parent == folder and beside.is_file():
        return beside
    if source in known:
        return known[source]
    hint = suggestion(source, known, KEY_SIMILARITY)
    raise UserError(
        f"there is no file '{source}' beside the life, and no shipped simulation of that name."
        f"{hint} Put it there, or write its keys into the stage."
    )


def _below(sources: Sources, front: tuple[str, ...]) -> Sources:
    """The part of the places that lies below a block."""
    size = len(front)

    def cut(places: Mapping[Any, Any]) -> dict[Any, Any]:
        return {path[size:]: v for path, v in places.items() if path[:size] == front != path}

    return Sources(sources.label, cut(sources.lines), cut(sources.overrides), list(sources.given))


def _as_overrides(changes: Mapping[str, Any]) -> list[str]:
    return [f"{key}={json.dumps(value)}" for key, value in changes.items()]
