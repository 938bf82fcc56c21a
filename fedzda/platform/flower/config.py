"""The configuration of a run of a Flower app: what is ours to decide, the rest is the app's."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, SerializeAsAny

from fedzda.base import StrictConfig
from fedzda.platform.config import EngineConfig, Slot
from fedzda.platform.config.load import validated
from fedzda.platform.config.overrides import Sources, apply_overrides
from fedzda.platform.flower.project import FlowerProject, Scalar
from fedzda.platform.trackers.config import Trackers

ROUNDS = "num-server-rounds"
"""Key of a run configuration that says how many rounds there will be, in Flower's own projects."""


class AppConfig(StrictConfig):
    """The app that is run."""

    folder: str
    """Folder of the app."""
    serverapp: str
    """``package.module:name`` of the ServerApp."""
    clientapp: str
    """``package.module:name`` of the ClientApp."""


class FlowerRunConfig(StrictConfig):
    """A run of a Flower app."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")
    """Name of the run: letters, digits, dot, dash, underscore; left out: that of the project."""
    seed: int = Field(default=0, ge=0)
    """Seed of ``random``, ``numpy.random`` and torch at server and clients."""
    rounds: int = Field(ge=0)
    """Rounds to expect, for the progress; 0: unknown. The app decides."""
    clients: int = Field(ge=1)
    """Simulated nodes; left out: ``num-supernodes`` of the project's default federation."""
    flower_app: AppConfig
    """The app."""
    run_config: dict[str, Scalar]
    """What the app finds in ``context.run_config``."""
    engine: Annotated[SerializeAsAny[EngineConfig], Slot("engines", target=False)] = Field(
        default={"name": "ray"}  # type: ignore[assignment]
    )
    """What runs the clients."""
    on_client_error: Literal["fail", "skip", "retry"] = "fail"
    """A client raised or timed out: stop the run, go on without it, or run it once more first."""
    min_success: float = Field(default=0.5, ge=0, le=1)
    """Smallest share of the asked clients that must succeed, else the run stops."""
    trackers: Trackers = Field(default=[])
    """Further places for the records: tensorboard, wandb, mlflow."""
    output: str = "runs"
    """Folder that run folders are made in."""
    report: bool = True
    """Write report.html and figures at the end."""


def flower_config(
    project: FlowerProject, run_config: dict[str, Scalar], overrides: Sequence[str]
) -> FlowerRunConfig:
    """The configuration of a run of ``project``.

    Args:
        project: The app.
        run_config: Its run configuration, with changes.
        overrides: ``key=value`` of :class:`FlowerRunConfig`, for example ``engine.workers=2``.

    Raises:
        UserError: With every problem found.
    """
    rounds = run_config.get(ROUNDS, 0)
    raw: dict[str, Any] = {
        "name": re.sub(r"[^A-Za-z0-9._-]+", "-", project.name).strip("-.")[:64] or "flower-app",
        "rounds": rounds if isinstance(rounds, int) else 0,
        "clients": project.clients,
        "flower_app": {
            "folder": str(project.folder.resolve()),
            "serverapp": project.server_app,
            "clientapp": project.client_app,
        },
        "run_config": run_config,
    }
    sources = Sources("the Flower app")
    data, unusable = apply_overrides(raw, overrides, sources)
    if isinstance(data.get("engine"), dict):
        data["engine"] = {"name": "ray", **data["engine"]}
    config = validated(FlowerRunConfig, data, sources, unusable)
    assert isinstance(config, FlowerRunConfig)
    return config


def folder_of(config: FlowerRunConfig) -> Path:
    """Where the app's modules lie."""
    return Path(config.flower_app.folder)
