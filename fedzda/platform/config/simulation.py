"""The whole configuration of a simulation."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, SerializeAsAny

from fedzda.base import StrictConfig
from fedzda.platform.config.data import DataConfig
from fedzda.platform.config.devices import DevicesConfig, UplinkConfig
from fedzda.platform.config.engine import EngineConfig
from fedzda.platform.config.local import LocalConfig
from fedzda.platform.config.rounds import CheckpointConfig, EvaluateConfig, StopConfig
from fedzda.platform.config.slot import Slot
from fedzda.platform.config.strategy import PrivacyConfig, ScenarioConfig, StrategyConfig
from fedzda.platform.trackers.config import Trackers


class SimulationConfig(StrictConfig):
    """A federated simulation."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")
    """Name of the run: letters, digits, dot, dash, underscore."""
    seed: int = Field(default=0, ge=0)
    """Seed of everything random."""
    rounds: int = Field(default=10, ge=0)
    """Number of federated rounds; 0: nothing is trained, the clients test the model that is there
    (``start_from``)."""
    start_from: str | None = None
    """Run folder, or safetensors file with weights, that the first round starts from; left out:
    fresh weights. A relative path starts at the YAML file. Where classes arrive in phases, a model
    of the base classes alone will do."""
    data: Annotated[SerializeAsAny[DataConfig], Slot("datasets")]
    """Data set, partition and splits."""
    model: Annotated[SerializeAsAny[StrictConfig], Slot("models")]
    """The model that all clients train."""
    task: Annotated[SerializeAsAny[StrictConfig], Slot("tasks")] = Field(
        default={"name": "classification"}  # type: ignore[assignment]
    )
    """Loss and metrics."""
    scenario: Annotated[SerializeAsAny[ScenarioConfig] | None, Slot("scenarios", target=False)] = (
        None
    )
    """How the data change over the rounds; left out: not at all."""
    local: LocalConfig = LocalConfig()
    """Training on a client."""
    strategy: Annotated[SerializeAsAny[StrategyConfig], Slot("strategies")]
    """What the server does with a round."""
    devices: Annotated[
        SerializeAsAny[DevicesConfig], Slot("devices", target=False, listed="profiles")
    ] = Field(
        default={"name": "uniform"}  # type: ignore[assignment]
    )
    """The simulated devices; a list of profiles with shares stands for ``{name: profiles, …}``."""
    uplink: Annotated[SerializeAsAny[UplinkConfig] | None, Slot("uplinks", target=False)] = None
    """Compression of the updates that clients send; left out: none."""
    engine: Annotated[SerializeAsAny[EngineConfig], Slot("engines", target=False)] = Field(
        default={"name": "ray"}  # type: ignore[assignment]
    )
    """What runs the clients."""
    evaluate: EvaluateConfig = EvaluateConfig()
    """Evaluation on the clients."""
    checkpoint: CheckpointConfig = CheckpointConfig()
    """Checkpoints."""
    stop: StopConfig = StopConfig()
    """When to end before the last round."""
    privacy: Annotated[SerializeAsAny[PrivacyConfig] | None, Slot("privacy", target=False)] = None
    """Differential privacy of the clients; left out: none."""
    on_client_error: Literal["fail", "skip", "retry"] = "fail"
    """A client raised, timed out or sent a NaN: stop the run, go on without it, or run it once
    more and then go on without it."""
    min_success: float = Field(default=0.5, ge=0, le=1)
    """Smallest share of the cohort that must succeed in a round, else the run stops."""
    trackers: Trackers = Field(default=[])
    """Further places for the records: tensorboard, wandb, mlflow; a name, or a block with one."""
    output: str = "runs"
    """Folder that run folders are made in."""
    report: bool = True
    """Write report.html and figures at the end (``fedzda report RUN`` makes them at any time)."""
