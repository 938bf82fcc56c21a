"""One stage of a life: whether it is sound, whether it is done, and doing it."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from fedzda.platform.config import SimulationConfig
from fedzda.platform.config.load import from_dict
from fedzda.platform.config.overrides import Sources
from fedzda.platform.lifecycle.commands import Command
from fedzda.platform.lifecycle.references import resolved


class Stage(Protocol):
    """What the runner needs of a stage."""

    @property
    def name(self) -> str:
        """Of the stage and its folder."""
        ...

    @property
    def taken(self) -> dict[str, Any]:
        """Plain data, in which references say what it takes from earlier stages."""
        ...

    def check(self, life: Path) -> str:
        """A line on what it is. Raises UserError if its keys, values or words are wrong."""
        ...

    def ready(self, life: Path) -> bool:
        """Whether a folder that it has begun can be gone on with; it is removed otherwise."""
        ...

    def play(self, life: Path, callbacks: Sequence[Any]) -> None:
        """Do it, or go on with it, in its folder below ``life``."""
        ...


@dataclass(frozen=True)
class SimulationStage:
    """A simulation.

    Attributes:
        name: Of the stage and its folder.
        taken: All keys of the simulation.
        sources: Where the keys were written.
        folder: Where relative paths and plug-ins are looked up.
    """

    name: str
    taken: dict[str, Any]
    sources: Sources
    folder: Path

    def config(self, life: Path) -> SimulationConfig:
        """The configuration, with paths below ``life`` for what it takes."""
        return from_dict(resolved(self.taken, life), sources=self.sources)

    def check(self, life: Path) -> str:
        """See :class:`Stage`."""
        config: Any = self.config(life)
        strategy = getattr(config.strategy, "name", getattr(config.strategy, "target", ""))
        rounds = f"{config.rounds} rounds of {strategy}" if config.rounds else "a test, no training"
        return f"simulation, {rounds}"

    def ready(self, life: Path) -> bool:
        """See :class:`Stage`: a run can be resumed from its first checkpoint on."""
        from fedzda.platform import checkpoint as checkpoints  # brings Flower, which takes long

        return checkpoints.newest_round(life / self.name / "checkpoints") > 0

    def play(self, life: Path, callbacks: Sequence[Any]) -> None:
        """See :class:`Stage`."""
        from fedzda.platform.simulation import Simulation

        path = life / self.name
        if (path / "summary.json").exists():  # it ended by itself, resumed as a run of its own
            return
        if path.exists():
            Simulation.resume(path, callbacks=callbacks)
        else:
            Simulation.build(self.config(life), self.folder).run(callbacks, path)


@dataclass(frozen=True)
class CommandStage:
    """A command.

    Attributes:
        name: Of the stage and its folder.
        command: What is run.
        taken: Its arguments and options.
        seed: Used where the options name none.
    """

    name: str
    command: Command
    taken: dict[str, Any]
    seed: int

    def words(self, life: Path) -> list[str]:
        """What would be typed after the command's name."""
        return self.command.words(resolved(self.taken, life), self.seed, life / self.name)

    def check(self, life: Path) -> str:
        """See :class:`Stage`."""
        words = self.words(life)
        self.command.check(words)
        return " ".join([self.command.name, *shown(words, life)])

    def ready(self, life: Path) -> bool:
        """See :class:`Stage`: a command starts anew."""
        return False

    def play(self, life: Path, callbacks: Sequence[Any]) -> None:
        """See :class:`Stage`."""
        self.command.run(self.words(life))


def shown(words: Sequence[str], life: Path) -> list[str]:
    """Words with paths as they are seen from the life's folder."""
    return [word.removeprefix(f"{life}/") for word in words if word != "--"]


def clear(stage: Stage, life: Path) -> None:
    """Remove what a stage has left that it cannot go on with."""
    if not stage.ready(life):
        shutil.rmtree(life / stage.name, ignore_errors=True)
