"""What strategies, scenarios and differential privacy share, whatever their name."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from fedzda.base import StrictConfig

if TYPE_CHECKING:
    from fedzda.platform.config.simulation import SimulationConfig

Suits = Literal["any", "local", "none"]
"""Which ``privacy:`` a strategy can be combined with."""


class StrategyConfig(StrictConfig):
    """What every strategy shares."""

    privacy: ClassVar[Suits] = "none"
    """Which ``privacy:`` it can be combined with: ``any`` where the server only takes the mean of
    the clients' models, ``local`` where it does something else with these models alone."""
    optimizers: ClassVar[tuple[str, ...]] = ("sgd", "adam")
    """Which ``local.optimizer`` it can be combined with."""
    asynchronous: ClassVar[bool] = False
    """Whether its clients do not wait for each other, which takes devices with a virtual clock."""
    no_scenario: ClassVar[str] = ""
    """Why it cannot be combined with a ``scenario:``, as the end of a sentence; empty: it can."""
    simulated: ClassVar[str] = ""
    """Why it exists in simulations only, as the end of a sentence; empty: it can be deployed."""
    exemplars: ClassVar[bool] = False
    """Whether its clients keep samples of earlier phases of a scenario."""
    variants: ClassVar[bool] = False
    """Whether devices may train a form of the model that is not the global one."""

    name: str
    clients_per_round: int | None = Field(default=None, ge=1)
    """Cohort size, drawn without replacement; left out: all clients."""
    batchnorm: Literal["naive", "pooled"] = "pooled"
    """Aggregation of BatchNorm variances: the mean of the clients' variances, or the variance of
    the pooled data, ``E[v + m²] - E[m]²``."""

    def problems_in(self, whole: SimulationConfig) -> Iterable[tuple[str, str]]:
        """Broken rules between this block and others: the dotted key, and a sentence."""
        return ()


class ScenarioConfig(StrictConfig):
    """What every scenario shares."""

    name: str

    def problems_in(self, whole: SimulationConfig) -> Iterable[tuple[str, str]]:
        """Broken rules between this block and others: the dotted key, and a sentence."""
        return ()


class PrivacyConfig(StrictConfig):
    """What every kind of differential privacy shares."""

    local: ClassVar[bool] = False
    """Whether the noise is added at the clients, so that the server may do what it likes."""

    name: str
    delta: float = Field(default=1e-5, gt=0, lt=1)
    """The delta of the (epsilon, delta) guarantee; should be well below 1 / clients."""
    buffers: Literal["refuse", "expose"] = "refuse"
    """A model with BatchNorm statistics: refuse it, or average them without clipping and noise,
    outside the guarantee."""
