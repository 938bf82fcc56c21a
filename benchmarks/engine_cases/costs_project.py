"""Ten million clients on clusters: the cost model's answer, by part, with the bottleneck."""

from __future__ import annotations

from dataclasses import dataclass

from fedzda.platform.costs.rates import Rates, shipped_rates
from fedzda.platform.costs.rounds import (
    Load,
    driver_seconds,
    num_chunks,
    round_seconds,
    worker_seconds,
)

_REGISTERED = 10_000_000
_COHORTS = (1_000, 10_000, 100_000)
_WORKERS = (8, 32, 128, 512)
_PER_NODE = 16
_NETWORK = 1.25e9
"""Bytes per second of a node: 10 Gbit/s."""


@dataclass(frozen=True)
class Model:
    """A model of the projection.

    Attributes:
        size: Bytes.
        client_sec: Training of one client for an epoch, batch 10, on one core (measured apart).
    """

    name: str
    size: float
    client_sec: float


MODELS = [
    Model("0.2 MB (LeNet, 60 samples of 28x28)", 0.19e6, 0.012),
    Model("6.5 MB (simple_cnn, 50 samples of 32x32x3)", 6.5e6, 0.11),
    Model("45 MB (ResNet-18, 50 samples of 32x32x3)", 44.7e6, 2.2),
]


@dataclass(frozen=True)
class Row:
    """A projected round in seconds.

    Attributes:
        work: The workers' share of training, if they were always busy.
        driver: Everything that the driver does one after the other.
        network: Models to the nodes and sums back through the driver's link.
    """

    total: float
    work: float
    driver: float
    network: float

    @property
    def bottleneck(self) -> str:
        """What the round would be waiting for most."""
        shares = {"work": self.work, "driver": self.driver, "network": self.network}
        return max(shares, key=lambda name: shares[name])


def project(model: Model, cohort: int, workers: int, rates: Rates) -> Row:
    """One round of mean-type training, nothing evaluated."""
    load = Load(cohort, _REGISTERED, workers, model.size, model.client_sec)
    work, driver = worker_seconds(load, rates), driver_seconds(load, rates)
    nodes = -(-workers // _PER_NODE)
    # a model goes once to every node, a float64 sum per chunk comes back, over the driver's link
    network = (nodes - 1 + 2 * num_chunks(load, rates)) * model.size / _NETWORK
    total = sum(round_seconds(load, rates).values())
    return Row(total + max(network - max(work, driver), 0.0), work, driver, network)


def markdown() -> str:
    """A table per model."""
    rates = shipped_rates()
    texts = [f"Rates: {rates.machine}, {rates.date}."]
    for model in MODELS:
        texts += [
            f"\n### {model.name}, {model.client_sec:g} s per client\n",
            "| cohort | workers | s/round | workers' share | driver | network | waits for |",
            "|---|---|---|---|---|---|---|",
        ]
        for cohort in _COHORTS:
            for workers in _WORKERS:
                row = project(model, cohort, workers, rates)
                texts.append(
                    f"| {cohort:,} | {workers} | {row.total:,.1f} | {row.work:,.1f} "
                    f"| {row.driver:,.1f} | {row.network:,.1f} | {row.bottleneck} |"
                )
    return "\n".join(texts)
