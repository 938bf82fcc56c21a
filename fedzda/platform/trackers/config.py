"""Configuration of the trackers. Imports none of their packages."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from fedzda.base import StrictConfig


class TensorBoardConfig(StrictConfig):
    """Event files for TensorBoard."""

    name: Literal["tensorboard"] = "tensorboard"
    folder: str | None = None
    """Folder in which every run has its event files, in one of the run folder's name; ``~`` and
    variables expand. Left out: ``tensorboard`` in the run folder, so that ``tensorboard --logdir
    runs`` shows all runs."""


class WandbConfig(StrictConfig):
    """Weights & Biases."""

    name: Literal["wandb"] = "wandb"
    project: str = "fedzda"
    """Project that the run belongs to."""
    entity: str | None = None
    """User or team; left out: that of the login."""
    mode: Literal["offline", "online"] = "offline"
    """``offline`` only writes files into the run folder, which ``wandb sync`` can send later."""
    tags: list[str] = Field(default=[])
    """Tags of the run."""


class MlflowConfig(StrictConfig):
    """MLflow."""

    name: Literal["mlflow"] = "mlflow"
    uri: str | None = None
    """Where the records go: ``sqlite:///FILE``, a ``file:`` store, or the address of a server; left
    out: ``mlflow.db`` in the output folder."""
    experiment: str = "fedzda"
    """Experiment that the run belongs to; made if it is not there."""


TrackerConfig = Annotated[
    TensorBoardConfig | WandbConfig | MlflowConfig, Field(discriminator="name")
]
Name = Literal["tensorboard", "wandb", "mlflow"]


def _as_blocks(given: Any) -> Any:
    """Bare names as blocks: ``[tensorboard]`` as ``[{name: tensorboard}]``."""
    if not isinstance(given, list):
        return given
    return [{"name": item} if isinstance(item, str) else item for item in given]


def _once(blocks: list[TrackerConfig]) -> list[TrackerConfig]:
    """Refuse a tracker named twice with the same settings: it would get all figures twice."""
    for number, block in enumerate(blocks):
        if block in blocks[:number]:
            raise ValueError(f"'{block.name}' is named twice with the same settings. Name it once")
    return blocks


Trackers = Annotated[
    list[TrackerConfig],
    AfterValidator(_once),
    BeforeValidator(_as_blocks, json_schema_input_type=list[Name | TrackerConfig]),
]
"""The value of ``trackers:``: names, or blocks with a name."""
