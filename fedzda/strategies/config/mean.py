"""Configuration of plain averaging, and what all strategies that average share."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, Literal

from pydantic import Field

from fedzda.platform import plugins
from fedzda.platform.config import SimulationConfig, StrategyConfig


class MeanConfig(StrategyConfig):
    """What strategies that average share."""

    classifies: ClassVar[str] = ""
    """What it does that takes a classifier of images, after the word "which"; empty: nothing."""
    one_model: ClassVar[bool] = True
    """Whether clients are tested with one model, whose loss power-of-choice can ask for."""

    weighting: Literal["size", "uniform"] = "size"
    """What a client counts in sums over clients: its training samples, or 1 (the models of a whole
    cohort are then in memory at once)."""
    sampling: Literal["uniform", "size-weighted", "power-of-choice"] = "uniform"
    """How a round's clients are drawn, always without replacement: with the same chance, by their
    training samples, or those of drawn candidates with the highest loss (Cho et al. 2020)."""
    candidates: int | None = Field(default=None, ge=1)
    """Clients that report their loss where ``sampling`` is power-of-choice; left out: twice
    ``clients_per_round``."""

    def problems_in(self, whole: SimulationConfig) -> Iterable[tuple[str, str]]:
        """A task or a way of sampling that the method can do nothing with."""
        task = getattr(whole.task, "name", None)
        if self.classifies and task != "classification" and plugins.ours("tasks", task):
            yield (
                "strategy.name",
                f"'strategy.name' is '{self.name}', which {self.classifies}, and 'task.name' is "
                f"'{task}'. Set strategy.name to 'fed-avg', or task.name to 'classification'.",
            )
        if self.sampling == "power-of-choice" and not self.one_model:
            yield (
                "strategy.sampling",
                "'strategy.sampling' is 'power-of-choice', which asks clients for the loss of the "
                f"global model, and strategy '{self.name}' has none that could be tested. Set it "
                "to 'uniform' or 'size-weighted'.",
            )


class FedAvgConfig(MeanConfig):
    """Federated averaging."""

    privacy = "any"
    variants = True
    name: Literal["fed-avg"] = "fed-avg"


class FedBuffConfig(MeanConfig):
    """FedBuff: buffered asynchronous aggregation."""

    asynchronous = True
    name: Literal["fed-buff"] = "fed-buff"
    clients_per_round: int | None = Field(default=10, ge=1)
    """Updates in the buffer that make a round (the paper: 10)."""
    weighting: Literal["size", "uniform"] = "uniform"
    """What a client counts in sums over clients: its training samples, or 1 (the paper)."""
    sampling: Literal["uniform"] = "uniform"
    """How clients are drawn: with the same chance, out of those that are there and not at work."""
    concurrency: int = Field(default=20, ge=1)
    """Clients that train at the same time (our choice; the paper: up to 1300)."""
    staleness_exponent: float = Field(default=0.5, ge=0)
    """Updates count ``(1 + tau) ** -exponent`` where tau models were made meanwhile (the paper:
    0.5); 0: all the same."""
    server_lr: float = Field(default=1.0, gt=0)
    """Step size of the server (our choice; the paper tunes it)."""
