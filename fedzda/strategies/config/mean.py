"""Configuration of plain averaging, and what all strategies that average share."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from fedzda.platform.config import StrategyConfig


class MeanConfig(StrategyConfig):
    """What strategies that average share."""

    weighting: Literal["size", "uniform"] = "size"
    """What a client counts in sums over clients: its training samples, or 1 (the models of a whole
    cohort are then in memory at once)."""
    sampling: Literal["uniform", "size-weighted", "power-of-choice"] = "uniform"
    """How a round's clients are drawn, always without replacement: with the same chance, by their
    training samples, or those of drawn candidates with the highest loss (Cho et al. 2020)."""
    candidates: int | None = Field(default=None, ge=1)
    """Clients that report their loss where ``sampling`` is power-of-choice; left out: twice
    ``clients_per_round``."""


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
