"""Configuration of Flower's own strategies (imports no Flower). Defaults are Flower's, or said."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar, Literal

from pydantic import Field

from fedzda.platform.config import SimulationConfig, StrategyConfig, Suits
from fedzda.platform.devices.work import EXTRA_WORK, ExtraWork

_SHARED = {"name", "clients_per_round", "batchnorm"}
_NEEDS_ALL = (
    "counts on an update of every client it asks, and in a phase some have no samples. Choose "
    "flwr-fed-median or flwr-fed-trimmed-avg"
)
"""Why the Krum family goes with no scenario."""


class FlwrConfig(StrategyConfig):
    """A strategy that ships with Flower, run unchanged."""

    privacy: ClassVar[Suits] = "local"
    flower_class: ClassVar[str]
    client_keys: ClassVar[dict[str, Any]] = {}
    by_step_size: ClassVar[tuple[str, ...]] = ()
    """Arguments of Flower's class that follow the clients' step size."""

    batchnorm: Literal["naive", "pooled", "strategy"] = "pooled"  # type: ignore[assignment]
    """BatchNorm statistics: averaged apart from the trained weights (``naive`` or ``pooled``
    variance), so that counters and variances do not enter norms and medians, or handed to the
    strategy like any other array (``strategy``, Flower's own behaviour)."""

    def arguments(self, local_lr: float) -> dict[str, Any]:
        """Keyword arguments of Flower's class."""
        return {key: value for key, value in self if key not in _SHARED}

    def problems_in(self, whole: SimulationConfig) -> Iterator[tuple[str, str]]:
        """What the rule needs of a cohort."""
        clients = whole.data.clients
        cohort = self.clients_per_round or clients
        if cohort is not None:
            yield from self.cohort_problems(min(cohort, clients or cohort))

    def cohort_problems(self, cohort: int) -> Iterator[tuple[str, str]]:
        """What is wrong with this many clients in a round."""
        return iter(())


class FlwrFedAvgConfig(FlwrConfig):
    """Federated averaging (McMahan et al. 2017)."""

    privacy = "any"
    flower_class = "FedAvg"
    name: Literal["flwr-fed-avg"] = "flwr-fed-avg"


class FlwrFedProxConfig(FlwrConfig):
    """FedProx (Li et al. 2020): clients add ``(mu / 2) * ||w - w_received||^2`` to their loss."""

    privacy = "any"
    flower_class = "FedProx"
    name: Literal["flwr-fed-prox"] = "flwr-fed-prox"
    proximal_mu: float = Field(default=0.1, ge=0)
    """Weight of the proximal term (Flower's default is 0, which is FedAvg)."""


class FlwrFedAvgMConfig(FlwrConfig):
    """Federated averaging with server momentum (Hsu et al. 2019)."""

    flower_class = "FedAvgM"
    name: Literal["flwr-fed-avg-m"] = "flwr-fed-avg-m"
    server_learning_rate: float = Field(default=1.0, gt=0)
    """Step size of the server."""
    server_momentum: float = Field(default=0.9, ge=0, lt=1)
    """Momentum of the server (Flower's default is 0, which is FedAvg)."""


class _FedOptConfig(FlwrConfig):
    eta: float = Field(default=0.01, gt=0)
    """Step size of the server (Flower: 0.1 for FedAdam and FedAdagrad)."""
    eta_l: float = Field(default=0.0316, gt=0)
    """Step size of the clients, noted by Flower and not used in its rule (Flower: 0.1 for FedAdam
    and FedAdagrad)."""
    tau: float = Field(default=1e-3, gt=0)
    """Degree of adaptivity, added to the root of the second moment."""


class FlwrFedAdamConfig(_FedOptConfig):
    """FedAdam (Reddi et al. 2021)."""

    flower_class = "FedAdam"
    name: Literal["flwr-fed-adam"] = "flwr-fed-adam"
    beta_1: float = Field(default=0.9, ge=0, lt=1)
    """Decay of the first moment."""
    beta_2: float = Field(default=0.99, ge=0, lt=1)
    """Decay of the second moment."""


class FlwrFedYogiConfig(FlwrFedAdamConfig):
    """FedYogi (Reddi et al. 2021)."""

    flower_class = "FedYogi"
    name: Literal["flwr-fed-yogi"] = "flwr-fed-yogi"  # type: ignore[assignment]


class FlwrFedAdagradConfig(_FedOptConfig):
    """FedAdagrad (Reddi et al. 2021)."""

    flower_class = "FedAdagrad"
    name: Literal["flwr-fed-adagrad"] = "flwr-fed-adagrad"


class FlwrQFedAvgConfig(FlwrConfig):
    """q-FedAvg (Li et al. 2020); clients report the loss of the received model before training."""

    privacy = "none"  # the losses that clients report carry no noise
    flower_class = "QFedAvg"
    client_keys: ClassVar[dict[str, Any]] = {
        "initial-loss": True,
        EXTRA_WORK: ExtraWork(forward=1.0).told(),
    }
    by_step_size = ("client_learning_rate",)
    name: Literal["flwr-q-fed-avg"] = "flwr-q-fed-avg"
    q: float = Field(default=0.1, ge=0)
    """Degree of fairness; 0 is the unweighted mean of the clients."""
    client_learning_rate: float | None = Field(default=None, gt=0)
    """1/L in the rule; left out: the clients' step size in each round."""

    def arguments(self, local_lr: float) -> dict[str, Any]:
        """As Flower wants them."""
        return {"q": self.q, "client_learning_rate": self.client_learning_rate or local_lr}


class FlwrFedMedianConfig(FlwrConfig):
    """Coordinate-wise median (Yin et al. 2018)."""

    flower_class = "FedMedian"
    name: Literal["flwr-fed-median"] = "flwr-fed-median"


class FlwrFedTrimmedAvgConfig(FlwrConfig):
    """Coordinate-wise trimmed mean (Yin et al. 2018)."""

    flower_class = "FedTrimmedAvg"
    name: Literal["flwr-fed-trimmed-avg"] = "flwr-fed-trimmed-avg"
    beta: float = Field(default=0.2, ge=0, lt=0.5)
    """Share cut off at each end."""


class FlwrKrumConfig(FlwrConfig):
    """Krum (Blanchard et al. 2017)."""

    flower_class = "Krum"
    no_scenario = _NEEDS_ALL
    name: Literal["flwr-krum"] = "flwr-krum"
    num_malicious_nodes: int = Field(default=0, ge=0)
    """Assumed number of malicious clients."""


class FlwrMultiKrumConfig(FlwrConfig):
    """Multi-Krum (Blanchard et al. 2017)."""

    flower_class = "MultiKrum"
    fast: ClassVar[dict[str, int]] = {"num_nodes_to_select": 1}
    no_scenario = _NEEDS_ALL
    name: Literal["flwr-multi-krum"] = "flwr-multi-krum"
    num_malicious_nodes: int = Field(default=0, ge=0)
    """Assumed number of malicious clients."""
    num_nodes_to_select: int = Field(default=1, ge=1)
    """Clients averaged."""

    def cohort_problems(self, cohort: int) -> Iterator[tuple[str, str]]:
        """Of fewer clients all would be averaged, and none left out."""
        if self.num_nodes_to_select > cohort:
            yield (
                "strategy.num_nodes_to_select",
                "'strategy.num_nodes_to_select' should be at most the clients of a round, which "
                f"are {cohort} (got {self.num_nodes_to_select}). Lower it, or raise "
                "strategy.clients_per_round.",
            )


class FlwrBulyanConfig(FlwrConfig):
    """Bulyan (El Mhamdi et al. 2018); needs at least ``4 * num_malicious_nodes + 3`` clients."""

    flower_class = "Bulyan"
    fast: ClassVar[dict[str, int]] = {"clients_per_round": 3, "num_malicious_nodes": 0}
    no_scenario = _NEEDS_ALL
    name: Literal["flwr-bulyan"] = "flwr-bulyan"
    num_malicious_nodes: int = Field(default=0, ge=0)
    """Assumed number of malicious clients."""

    def cohort_problems(self, cohort: int) -> Iterator[tuple[str, str]]:
        """With fewer clients Flower leaves the model as it is, in every round."""
        needed = 4 * self.num_malicious_nodes + 3
        if cohort < needed:
            yield (
                "strategy.num_malicious_nodes",
                "'strategy.num_malicious_nodes' needs at least 4 times as many clients in a round "
                f"plus 3, here {needed}, and there are {cohort} (got "
                f"{self.num_malicious_nodes}). Lower it, or raise strategy.clients_per_round.",
            )
