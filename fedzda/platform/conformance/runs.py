"""Rules that hold for whole runs: they end, repeat bit for bit, resume, and spare nobody."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from fedzda.base import FedzdaError
from fedzda.platform import checkpoint
from fedzda.platform.config import SimulationConfig, plain
from fedzda.platform.config.load import from_dict
from fedzda.platform.conformance.findings import Broken, reason
from fedzda.platform.runs import Run
from fedzda.platform.simulation import Simulation

_COHORTS = (
    ("strategy", "clients_per_round"),
    ("strategy", "candidates"),
    ("strategy", "concurrency"),
    ("evaluate", "clients"),
)
"""Keys that count clients."""
_COLUMNS = ["round", "phase", "client", "stage", "metric", "value"]


def last(run: Run) -> checkpoint.Checkpoint:
    """The newest checkpoint of a run."""
    found = checkpoint.load_latest(run.path / "checkpoints")
    if found is None:
        raise Broken("the run left no checkpoint.")
    return found


def weights(run: Run) -> dict[str, np.ndarray]:
    """The global model, and what every client keeps, by name."""
    found = last(run)
    kept = {
        f"client {client}: {record}.{name}": np.asarray(value)
        for client, state in found.clients.items()
        for record, arrays in state.arrays.items()
        for name, value in arrays.items()
    }
    return found.arrays | kept


def play(config: SimulationConfig, folder: Path | None = None) -> Run:
    """Run a simulation. Raises :class:`Broken` with what stopped it."""
    try:
        return Simulation.build(config, folder).run()
    except Exception as error:
        raise Broken(f"a simulation of {config.rounds} rounds failed: {reason(error)}") from error


def sound(run: Run) -> None:
    """The model that a run leaves has the types that it began with, and only finite numbers."""
    initial = Simulation.build(run.config, run.source).model.state_dict()
    final = last(run).arrays
    for key, value in initial.items():
        if key not in final:
            raise Broken(f"array '{key}' of the model is missing after the run.")
        if final[key].dtype != value.numpy().dtype:
            raise Broken(
                f"array '{key}' was {value.numpy().dtype} and is {final[key].dtype} after the run: "
                "the server must keep the types of the model."
            )
        if not np.isfinite(final[key]).all():
            raise Broken(f"array '{key}' is not finite after {run.config.rounds} rounds.")


def same_twice(first: Run, folder: Path | None = None) -> None:
    """A second run of a finished run's configuration agrees with it to the last bit.

    Raises:
        Broken: It does not, or it fails.
    """
    second = play(first.config, folder)
    because = (
        "all randomness must come from the random numbers that the component is given (or from "
        "fedzda.base.stream), never from the clock or a generator of its own without a seed."
    )
    _agree(first, second, "two runs of one configuration", because)


def resumes(straight: Run, folder: Path | None = None) -> None:
    """A run that is resumed before its last round ends as a finished one that never stopped.

    Raises:
        Broken: It does not, or a run fails.
    """
    config = straight.config
    short = play(from_dict({**plain(config), "rounds": config.rounds - 1}), folder)
    try:
        resumed = Simulation.resume(short.path, rounds=config.rounds)
    except FedzdaError as error:
        raise Broken(f"a run cannot be resumed: {reason(error)}") from error
    because = (
        "whatever lasts from round to round must stand in state() and be taken over by "
        "load_state() (a strategy) or be kept as client state, so that it is in the checkpoint."
    )
    _agree(straight, resumed, "a run and a resumed one", because)


def single_sample(config: SimulationConfig, folder: Path | None = None) -> Run:
    """A client with one sample to train on takes part and breaks nothing; returns the run.

    ``config.data`` must take the partitioner ``size``.

    Raises:
        Broken: The run fails, or leaves numbers that are not finite.
    """
    rows = plain(config)
    sizes = {"name": "size", "sizes": [1, 20, 20, 20]}
    rows["data"] |= {"clients": 4, "max_samples": 61, "partition": sizes, "test_fraction": 0.0}
    rows["data"]["missing_classes"] = "allow"
    for block, key in _COHORTS:  # the simulation's own may be of more clients
        if isinstance(wanted := rows[block].get(key), int):
            rows[block][key] = min(wanted, 4)
    run = play(from_dict(rows), folder)
    for key, value in weights(run).items():
        if not np.isfinite(value).all():
            raise Broken(f"with a client of a single sample, '{key}' is not finite.")
    return run


def _agree(first: Run, second: Run, who: str, because: str) -> None:
    one, two = weights(first), weights(second)
    if one.keys() != two.keys():
        odd = sorted(one.keys() ^ two.keys())[0]
        raise Broken(f"{who} leave different arrays, such as '{odd}': {because}")
    for key, value in one.items():
        if not (value.dtype == two[key].dtype and np.array_equal(value, two[key], equal_nan=True)):
            raise Broken(f"{who} differ in '{key}': {because}")
    tables: list[Any] = [run.clients[_COLUMNS] for run in (first, second)]
    if not tables[0].equals(tables[1]):
        raise Broken(f"{who} differ in what is recorded of the clients: {because}")
