"""What a stage takes from stages before it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from fedzda.base import UserError
from fedzda.platform.config.problems import KEY_SIMILARITY, suggestion
from fedzda.platform.config.yaml_loader import KeyPath


class Reference(NamedTuple):
    """A stage's folder, or a file in it."""

    stage: str
    file: str | None

    def within(self, life: Path) -> Path:
        """Where it lies, or will lie."""
        folder = life / self.stage
        return folder if self.file is None else folder / self.file


def reference_of(value: Any) -> Reference | None:
    """The reference that a mapping is; None for anything else."""
    if not isinstance(value, Mapping) or not {"stage"} <= value.keys() <= {"stage", "file"}:
        return None
    stage, file = value["stage"], value.get("file")
    if not isinstance(stage, str) or not isinstance(file, str | None):
        return None
    return Reference(stage, file)


def references(data: Any, path: KeyPath = ()) -> Iterator[tuple[KeyPath, Reference]]:
    """All references in plain data, and where they stand."""
    found = reference_of(data)
    if found is not None:
        yield path, found
    elif isinstance(data, Mapping):
        for key, value in data.items():
            yield from references(value, (*path, key))
    elif isinstance(data, list):
        for number, value in enumerate(data):
            yield from references(value, (*path, number))


def resolved(data: Any, life: Path) -> Any:
    """Plain data with paths in the place of references."""
    found = reference_of(data)
    if found is not None:
        return str(found.within(life))
    if isinstance(data, Mapping):
        return {key: resolved(value, life) for key, value in data.items()}
    if isinstance(data, list):
        return [resolved(value, life) for value in data]
    return data


def problem_of(found: Reference, stage: str, stages: Sequence[str]) -> str | None:
    """What is wrong with a reference that stands in ``stage``; None if nothing is."""
    taken = f"stage '{stage}' takes something from stage '{found.stage}'"
    if found.stage not in stages:
        hint = suggestion(found.stage, stages, KEY_SIMILARITY)
        return f"{taken}, and there is no such stage.{hint} Stages: {', '.join(stages)}."
    if found.stage == stage:
        return f"{taken}, which is itself. Name an earlier stage."
    if stages.index(found.stage) > stages.index(stage):
        return f"{taken}, which comes later. Stages run in the order of the file: move it up."
    file = PurePosixPath(found.file or "")
    if file.is_absolute() or ".." in file.parts:
        return f"{taken}, and its file '{found.file}' does not lie in it. Give a path inside."
    return None


def check_left(data: Any, stage: str, life: Path) -> None:
    """Raise UserError unless everything that ``stage`` takes from earlier ones is there."""
    problems = []
    for _, found in references(data):
        path = found.within(life)
        if not path.exists():
            left = sorted(
                file.relative_to(life / found.stage).as_posix()
                for pattern in ("*", "artifacts/*")
                for file in (life / found.stage).glob(pattern)
                if file.is_file()
            )
            problems.append(
                f"stage '{stage}' takes '{found.file}' of stage '{found.stage}', which has left no "
                f"such file. It has left: {', '.join(left) or 'nothing'}."
            )
    if problems:
        raise UserError(*problems)
