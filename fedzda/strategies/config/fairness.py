"""Configuration of fairness methods; defaults are our choice unless the text names another."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from pydantic import Field

from fedzda.platform.config import SimulationConfig
from fedzda.strategies.config.mean import MeanConfig


class QFFLConfig(MeanConfig):
    """q-FFL: clients with a high loss count more."""

    name: Literal["q-ffl"] = "q-ffl"
    q: float = Field(default=0.1, ge=0)
    """Fairness exponent; 0 is FedAvg. The paper tunes it between 0.001 and 5. The larger it is, and
    the further clients go in a round (momentum, epochs), the shorter is the step of the server."""
    lipschitz: float | None = Field(default=None, gt=0)
    """The paper's L, in place of 1 / eta; by default eta is the clients' step size. Smaller values
    lengthen the step. Adam, whose step size says nothing about L, needs it where q is above 0."""

    def problems_in(self, whole: SimulationConfig) -> Iterable[tuple[str, str]]:
        """It takes gradients from updates, which Adam does not scale by its step size."""
        yield from super().problems_in(whole)
        optimizer = whole.local.optimizer
        if self.q > 0 and self.lipschitz is None and optimizer.name != "sgd":
            yield (
                "strategy.lipschitz",
                f"'strategy.lipschitz' is not set, and the step size of '{optimizer.name}' "
                f"({optimizer.lr}) does not stand for its inverse, as that of SGD does. Set it, "
                "for example to 1, and then by q-ffl-step in rounds.jsonl; or local.optimizer.name "
                "to 'sgd'.",
            )


class AFLConfig(MeanConfig):
    """Agnostic federated learning: the worst mixture of clients."""

    name: Literal["afl"] = "afl"
    gamma: float = Field(default=0.1, ge=0)
    """Step size of the mixture; 0 leaves it uniform (FairFL: 0.1)."""
    order: Literal["average-first", "update-first"] = "average-first"
    """Average with the mixture before or after it is updated."""
    ascent: Literal["euclidean", "multiplicative"] = "euclidean"
    """The mixture's step: a gradient step and a projection onto the simplex, or a factor
    ``exp(gamma * loss)``."""


class TermConfig(MeanConfig):
    """Tilted empirical risk minimisation."""

    name: Literal["term"] = "term"
    t: float = 0.1
    """Tilt: above 0 clients with a high loss count more, below 0 they count less, 0 is FedAvg (the
    paper: 0.1; FairFL: 0.01)."""


class PropFairConfig(MeanConfig):
    """Proportional fairness."""

    variants = True
    name: Literal["prop-fair"] = "prop-fair"
    base: float = Field(default=5.0, gt=0)
    """M of the utility M - loss; must lie above most losses, and an untrained model of C classes
    has a loss of log(C) (FairFL: 2)."""
    epsilon: float = Field(default=0.2, gt=0)
    """Smallest utility for which the logarithm is taken (FairFL: 0.2)."""
    fallback: Literal["linear", "huber"] = "linear"
    """The loss below that: loss / base, or loss / epsilon."""


class FedMGDAConfig(MeanConfig):
    """FedMGDA+: the shortest mixture of the clients' updates."""

    name: Literal["fed-mgda"] = "fed-mgda"
    epsilon: float = Field(default=0.2, ge=0, le=1)
    """How far a client's coefficient may move from its share (FairFL: 0.2)."""
    server_lr: float = Field(default=1.0, gt=0)
    """Step size of the server."""
    normalize: bool = True
    """Give every client's update length 1 first (the plus of FedMGDA+)."""


class FedFVConfig(MeanConfig):
    """FedFV: updates lose the part in which they are in conflict."""

    name: Literal["fed-fv"] = "fed-fv"
    weighting: Literal["size", "uniform"] = "uniform"
    """What a client counts in sums over clients: its training samples, or 1 (the paper)."""
    alpha: float = Field(default=0.1, ge=0, le=1)
    """Share of the clients, those with the highest losses, that keep their update."""
    tau: int = Field(default=1, ge=0)
    """Rounds for which updates of absent clients are kept and respected; the server stores one
    update per client seen in them."""


class GifairConfig(MeanConfig):
    """GIFAIR-FL: clients are weighed by the rank of their loss."""

    name: Literal["gifair"] = "gifair"
    coeff: float = Field(default=0.1, ge=0, lt=1)
    """Strength, as a share of the largest at which no weight is negative (FairFL: 0.1)."""
