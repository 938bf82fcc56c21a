"""The configuration of a life.

Anywhere inside a stage, ``{stage: NAME}`` stands for the folder of an earlier stage and
``{stage: NAME, file: PATH}`` for a file in it.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, model_validator

from fedzda.base import StrictConfig

_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
_STAGE = r"^[a-z0-9][a-z0-9-]{0,31}$"


class StageConfig(StrictConfig):
    """One stage: a simulation, or a command."""

    about: str = ""
    """What happens in it, in a sentence, for the page of the life."""
    simulation: dict[str, Any] | str | None = None
    """The keys of a simulation, or the name of a shipped one or of a file beside this one. Keys
    that it does not have come from ``shared``. Its seed is that of the life unless the keys or the
    file beside this one state another; a shipped one's and a file's name is the stage's."""
    changes: dict[str, Any] = Field(default={})
    """What is different about the simulation: dotted key to value."""
    command: str | None = None
    """A command that writes a folder, such as quantize or synthesize."""
    options: dict[str, Any] = Field(default={})
    """What would be typed after the command: name of the argument or option to its value, lists
    where it takes several. The folder for results (--out) is the stage's."""
    tiny: dict[str, Any] = Field(default={})
    """What ``fedzda run --fast`` changes: dotted keys of the simulation, or options."""

    @model_validator(mode="after")
    def _one_kind(self) -> StageConfig:
        if (self.simulation is None) == (self.command is None):
            raise ValueError("a stage has either 'simulation' or 'command'")
        if self.command is None and self.options:
            raise ValueError("'options' are those of a command, and this stage is a simulation")
        if self.simulation is None and self.changes:
            raise ValueError("'changes' are those of a simulation, and this stage is a command")
        return self


class LifeConfig(StrictConfig):
    """The life of a model: stages, one after the other."""

    name: str = Field(pattern=_NAME)
    """Name of the life: letters, digits, dot, dash, underscore."""
    seed: int = Field(default=0, ge=0)
    """Seed of all stages that state none."""
    output: str = "runs"
    """Folder that the life's folder is made in."""
    shared: dict[str, Any] = Field(default={})
    """Keys of all simulations that do not have them themselves, such as data and model."""
    stages: dict[Annotated[str, Field(pattern=_STAGE)], StageConfig] = Field(min_length=1)
    """Name to stage, in the order in which they run; names have small letters, digits, dashes."""
