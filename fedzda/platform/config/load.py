"""From a YAML file and overrides to a :class:`SimulationConfig`, or to all errors at once."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic.fields import FieldInfo

import fedzda
from fedzda.base import StrictConfig, UserError
from fedzda.platform import plugins
from fedzda.platform.config import SimulationConfig, Slot, chosen_class, plain, slots, specialise
from fedzda.platform.config.checks import block_checks, cross_checks
from fedzda.platform.config.overrides import Sources, apply_overrides
from fedzda.platform.config.problems import (
    KEY_SIMILARITY,
    Problem,
    block_classes,
    choice,
    dotted,
    from_pydantic,
    render,
    suggestion,
)
from fedzda.platform.config.yaml_loader import KeyPath, load_file


@dataclass(frozen=True)
class Loaded:
    """A configuration and where it came from.

    Attributes:
        config: The validated configuration, every default filled in.
        origins: Dotted key to ``sim.yaml:12``, ``override`` or ``default``, one per value.
        folder: Where relative paths and plug-ins are looked up, see :func:`folder_of`.
        overrides: The overrides as given.
        source: The YAML file.
    """

    config: SimulationConfig
    origins: dict[str, str]
    folder: Path
    overrides: list[str]
    source: Path


_SHIPPED = Path(fedzda.__file__).parent.resolve() / "sims"


def shipped() -> dict[str, Path]:
    """The simulations that come with fedzda, by name."""
    found = {path.stem: path for path in _SHIPPED.glob("*.yaml")}  # studies/ holds sweeps
    return dict(sorted(found.items()))


def find_source(source: str | Path) -> tuple[Path, str]:
    """The YAML file of a file name or shipped name, and what errors call it.

    Raises:
        UserError: There is no such file and no shipped simulation of that name.
    """
    path, name = Path(source), str(source)
    if path.is_file():
        return path, name
    known = shipped()
    if name in known:
        return known[name], known[name].name
    if path.is_dir():
        raise UserError(f"'{name}' is a folder. Name a YAML file in it.")
    from fedzda.platform.lifecycle.load import shipped_lives

    if name in shipped_lives():
        raise UserError(_is_life(name))
    hint = suggestion(path.stem, known, KEY_SIMILARITY)
    raise UserError(
        f"there is no file '{name}', and no shipped simulation of that name.{hint} "
        f"Shipped: {', '.join(known)}."
    )


def _is_life(label: str) -> str:
    """Where a single simulation is asked for."""
    return (
        f"{label} is the life of a model: it has 'stages', each of them a simulation or a command. "
        f"Run it with: fedzda run {label}"
    )


def folder_of(path: Path) -> Path:
    """Where relative paths and plug-ins of a YAML file are looked up: the folder that it lies in.

    For a shipped file, whose own folder is nobody's, it is the working directory; for the resolved
    file in a run folder the folder of the file that the run was made from.
    """
    folder = path.parent.resolve()
    if folder.is_relative_to(_SHIPPED):
        return Path.cwd()
    if all((folder / name).is_file() for name in ("meta.json", "status.json")):
        from fedzda.platform.runs import Run

        return Run(folder).source
    return folder


def load_config(source: str | Path, overrides: Sequence[str] = ()) -> Loaded:
    """Read a YAML file or a shipped simulation, apply overrides, and validate.

    Args:
        source: A file, or a name such as ``quickstart``.
        overrides: ``a.b=value`` each, applied in order; values are read as YAML.

    Raises:
        UserError: With every problem found, in order of lines, then those of the overrides.
    """
    path, label = find_source(source)
    document = load_file(path, label)
    folder = folder_of(path)
    sources = Sources(label, dict(document.lines))
    repeated = [Problem((), sentence, line=line) for line, sentence in document.problems]
    data = {} if document.data is None else document.data
    if not isinstance(data, dict):
        raise UserError(f"{label}:1: the file should be a block of keys such as 'name: …'.")
    if "base" in data and "strategy" not in data:
        raise UserError(f"{label} is a sweep: it has 'base'. Run it with: fedzda sweep {label}")
    if "stages" in data and "strategy" not in data:
        raise UserError(_is_life(label))
    data, unusable = apply_overrides(data, overrides, sources)
    plugins.add_plugin_folder(folder, data)
    data = _lists_as_blocks(data, sources)
    not_applied = [Problem((), sentence, override=text) for text, sentence in unusable]
    config, problems = _validate(data)
    rendered = render([*repeated, *problems, *not_applied], sources)
    if config is None or rendered:
        raise UserError(*rendered)
    named = Sources(path.name, sources.lines, sources.overrides)
    origins = {dotted(key): _origin(key, data, named) for key, _ in leaves(plain(config))}
    return Loaded(config, origins, folder, list(overrides), path)


def from_dict(
    raw: Mapping[str, Any], *, source: str = "<dict>", sources: Sources | None = None
) -> SimulationConfig:
    """Validate plain data, with the same rules and errors as :func:`load_config`.

    Args:
        raw: What a YAML file would hold; not changed.
        source: What errors call it.
        sources: Where each value came from, if more is known than ``source``.

    Raises:
        UserError: With every problem found.
    """
    sources = sources or Sources(source)
    config, problems = _validate(_lists_as_blocks(raw, sources))
    if config is None:
        raise UserError(*render(problems, sources))
    return config


def validated(
    model: type[StrictConfig],
    raw: Mapping[str, Any],
    sources: Sources,
    not_applied: Sequence[tuple[str, str]] = (),
) -> StrictConfig:
    """A block that is no :class:`SimulationConfig`, with the class that ``raw`` makes of it.

    Args:
        model: The class of the block.
        raw: Its data, overrides applied.
        sources: What errors call it, and its overrides.
        not_applied: What ``apply_overrides`` says of overrides that cannot be applied.

    Raises:
        UserError: With every problem found.
    """
    problems = [Problem((), sentence, override=text) for text, sentence in not_applied]
    special = specialise(model, raw)
    try:
        config = special.model_validate(raw)
    except ValidationError as error:
        problems += from_pydantic(error, special, raw)
    if problems:
        raise UserError(*render(problems, sources))
    return config


def leaves(data: Any, path: KeyPath = ()) -> Iterator[tuple[KeyPath, Any]]:
    """Path and value of everything that is not a non-empty block; lists count as one value."""
    if isinstance(data, Mapping) and (data or not path):
        for key, value in data.items():
            yield from leaves(value, (*path, key))
    else:
        yield path, data


def _lists_as_blocks(raw: Mapping[str, Any], sources: Sources) -> dict[str, Any]:
    """``devices: […]`` as ``devices: {name: profiles, profiles: […]}``, places included."""
    data = dict(raw)
    for key, slot in slots(SimulationConfig).items():
        if slot.listed is None or not isinstance(data.get(key), list):
            continue
        data[key] = {"name": slot.listed, slot.listed: data[key]}
        front: KeyPath = (key, slot.listed)

        def moved(path: KeyPath, front: KeyPath = front) -> KeyPath:
            return (*front, *path[1:]) if path[:1] == front[:1] and len(path) > 1 else path

        sources.lines = {moved(path): line for path, line in sources.lines.items()}
        sources.overrides = {moved(path): text for path, text in sources.overrides.items()}
    return data


def _validate(raw: Mapping[str, Any]) -> tuple[SimulationConfig | None, list[Problem]]:
    survey = _Survey(raw)
    model = specialise(SimulationConfig, survey.usable)
    problems = list(survey.problems)
    wrong = {problem.path for problem in problems}
    config: Any = None
    try:
        config = model.model_validate(survey.filled)
    except ValidationError as error:
        found = from_pydantic(error, model, survey.filled)
        problems += [p for p in found if p.path not in wrong and not survey.covers(p)]
    except UserError as error:  # raised by a validator of a component
        problems += [Problem((), sentence) for sentence in error.problems]
    wrong = {problem.path for problem in problems}
    problems += [p for p in cross_checks(model, survey.filled) if p.path not in wrong]
    if config is not None and not problems:
        problems += block_checks(config)
    return (None if problems else config), problems


class _Survey:
    """Finds which components a configuration names, before pydantic sees it.

    A component that does not exist must not hide the other errors, so its block is validated by
    the general class of its kind.

    Attributes:
        filled: The data, with the default component named where a block leaves the name out.
        usable: The same without the names that cannot be resolved.
        problems: What is wrong with the names.
    """

    def __init__(self, raw: Mapping[str, Any]) -> None:
        self.problems: list[Problem] = []
        self._broken: list[KeyPath] = []
        self.filled: dict[str, Any] = self._visit(SimulationConfig, copy.deepcopy(dict(raw)), ())
        self.usable = copy.deepcopy(self.filled)
        for path in self._broken:
            block = self.usable
            for part in path:
                block = block[str(part)]
            block.pop("name", None)
            block.pop("target", None)

    def covers(self, problem: Problem) -> bool:
        """Whether a finding only follows from a component that is not known."""
        return problem.block_matters and any(
            problem.path[: len(path)] == path for path in self._broken
        )

    def _visit(
        self, model: type[StrictConfig], raw: Mapping[str, Any], path: KeyPath
    ) -> dict[str, Any]:
        filled = dict(raw)
        for key, given in raw.items():
            field = model.model_fields.get(key)
            inner = block_classes(field.annotation) if field else []
            if field is None or not inner or not isinstance(given, Mapping):
                continue
            slot = slots(model).get(key)
            value = given
            if not (slot and slot.target and "target" in given):
                value = _with_default_name(field, given)
            chosen = self._choose(slot, value, (*path, key)) if slot else None
            filled[key] = self._visit(chosen or _named(inner, value), value, (*path, key))
        return filled

    def _choose(
        self, slot: Slot, value: Mapping[str, Any], path: KeyPath
    ) -> type[StrictConfig] | None:
        try:
            problem = _name_problem(slot, value, path)
            if problem is None:
                return chosen_class(slot, value)
            self.problems.append(problem)
        except UserError as error:
            where = (*path, "target" if "target" in value else "name")
            self.problems += [Problem(where, sentence) for sentence in error.problems]
        self._broken.append(path)
        return None


def _name_problem(slot: Slot, value: Mapping[str, Any], path: KeyPath) -> Problem | None:
    """What is wrong with the choice of a component, if anything."""
    known = sorted(plugins.entries(slot.kind))
    if slot.target and "target" in value:
        if isinstance(value["target"], str):
            return _two_names(value, path, known)
        return Problem((*path, "target"), f"'{dotted(path)}.target' should be text.")
    if "name" not in value:
        sentence = f"missing key '{dotted(path)}.name'. Choose one of: {', '.join(known)}."
        return Problem((*path, "name"), sentence)
    if value["name"] in known:
        return None
    return choice((*path, "name"), value["name"], known)


def _two_names(value: Mapping[str, Any], path: KeyPath, known: list[str]) -> Problem | None:
    """A block that names a component of ours beside one of the user's, which alone would count."""
    name, target, block = value.get("name"), value["target"], dotted(path)
    if name not in known or name == target.rpartition(":")[2]:  # which is the name that it has
        return None
    return Problem(
        (*path, "name"),
        f"'{block}.name' is '{name}', and '{block}.target' is '{target}': both say what stands "
        "there. Leave one of them out; an override that replaces the whole block is "
        f"{block}='{{name: {name}}}'.",
    )


def _with_default_name(field: FieldInfo, value: Mapping[str, Any]) -> Mapping[str, Any]:
    """``{workers: 2}`` as ``{name: ray, workers: 2}``, where the field has a default component."""
    default = field.default
    if isinstance(default, StrictConfig):
        name = getattr(default, "name", None)
    else:
        name = default.get("name") if isinstance(default, Mapping) else None
    if name is None or "name" in value:
        return value
    return {"name": name, **value}


def _named(classes: list[type[StrictConfig]], value: Mapping[str, Any]) -> type[StrictConfig]:
    """The member of a union that ``value`` names, else the first."""
    for found in classes:
        field = found.model_fields.get("name")
        if field is not None and field.default == value.get("name"):
            return found
    return classes[0]


def _origin(path: KeyPath, data: Any, sources: Sources) -> str:
    """Where a value comes from. ``data`` is the file with overrides, without defaults."""
    for part in path:
        if not isinstance(data, Mapping) or part not in data:
            return "default"
        data = data[part]
    if sources.override_of(path) is not None:
        return "override"
    return f"{sources.label}:{sources.line_of(path)}"
