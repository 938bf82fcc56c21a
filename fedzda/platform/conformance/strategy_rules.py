"""What a strategy must do."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np

from fedzda.platform.conformance import runs
from fedzda.platform.conformance.findings import Broken
from fedzda.platform.conformance.run_rules import (
    RESUMES,
    RUNS_TWICE,
    SINGLE_SAMPLE,
    config_of,
    straight,
)
from fedzda.platform.parts import build_strategy
from fedzda.platform.simulation import Simulation

if TYPE_CHECKING:
    from fedzda.platform.conformance.check import Bench, Rule


def is_one(bench: Bench) -> None:
    """It can be built, and is a Flower strategy."""
    build_strategy(config_of(bench))


def moves_the_model(bench: Bench) -> None:
    """Two rounds change the global model."""
    config = config_of(bench)
    before = Simulation.build(config, bench.folder).model.state_dict()
    after = runs.last(straight(bench)).arrays
    if all(np.array_equal(after[name], value.numpy()) for name, value in before.items()):
        raise Broken(
            "two rounds left every weight as it was: aggregate_train must return the new model as "
            "an ArrayRecord."
        )


def asks_the_cohort(bench: Bench) -> None:
    """It asks as many clients as ``clients_per_round`` says, where the key is its own."""
    if "target" in bench.subject.block:
        return  # a Flower strategy as it is draws its clients by rules of its own
    config = config_of(bench)
    run = straight(bench)
    wanted = config.strategy.clients_per_round
    for line in (run.path / "rounds.jsonl").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        if row["clients"]["sampled"] != wanted:
            raise Broken(
                f"clients_per_round is {wanted}, and round {row['round']} asked "
                f"{row['clients']['sampled']} clients to train."
            )


RULES: dict[str, list[Rule]] = {
    "strategy": [
        ("it is a Flower strategy", is_one),
        RUNS_TWICE,
        ("rounds change the model", moves_the_model),
        ("it asks as many clients as it is told to", asks_the_cohort),
        RESUMES,
        SINGLE_SAMPLE,
    ]
}
