"""How long a run will take: rounds timed by a pilot, on the engine that the run asks for."""

from __future__ import annotations

import time
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from fedzda.base import StrictConfig
from fedzda.platform.config import SimulationConfig
from fedzda.platform.costs.looks import pilot_rounds
from fedzda.platform.costs.pilot import Timed
from fedzda.platform.costs.rates import Rates
from fedzda.platform.costs.rounds import PARTS, Load, round_seconds, serving
from fedzda.platform.engines.base import cores
from fedzda.platform.engines.worker import resident_mb

if TYPE_CHECKING:
    from fedzda.platform.simulation import Simulation


@dataclass(frozen=True)
class Forecast:
    """Predicted wall time of a run on this machine while it does nothing else, in seconds.

    Attributes:
        parts: By part, over all rounds; ``start``, ``checkpoint`` and ``finish`` besides.
        last_round: By part of a round, in the last of them (where it is evaluated).
        memory_bytes: Resident memory of all processes: this one's after the pilot, as often as
            there are processes. Libraries that they share count every time.
        pilot_sec: What the pilot took.
        rates: Where the rates that were not timed here come from.
    """

    parts: dict[str, float]
    last_round: dict[str, float]
    memory_bytes: float
    pilot_sec: float
    rates: str

    @property
    def total(self) -> float:
        """From launch to the end of the report."""
        return sum(self.parts.values())


def forecast(simulation: Simulation, rates: Rates) -> Forecast | None:
    """The forecast of a run; None for an engine that the model does not describe (``flower``), and
    for a run that trains nothing."""
    config = simulation.config
    if config.engine.name not in ("inline", "ray") or config.rounds == 0:
        return None
    start = time.perf_counter()
    timed, warm_sec = pilot_rounds(simulation)
    pilot_sec = time.perf_counter() - start
    workers = workers_of(config.engine)
    parts, last, rows = _all_rounds(simulation, timed, rates)
    parts["start"] = start_sec(workers, rates) + warm_sec
    parts["finish"] = _finish_sec(simulation, timed[max(timed)], rows, rates)
    memory = resident_mb() * 2**20 * (1 + workers)
    return Forecast(parts, last, memory, pilot_sec, f"{rates.machine}, {rates.date}")


def _all_rounds(
    simulation: Simulation, timed: dict[int, Timed], rates: Rates
) -> tuple[dict[str, float], dict[str, float], float]:
    """Seconds by part over all rounds and in the last one, and rows of the client table."""
    config = simulation.config
    workers = workers_of(config.engine)
    parts = dict.fromkeys((*PARTS, "checkpoint"), 0.0)
    last, rows = dict.fromkeys(PARTS, 0.0), 0.0
    for first, after in pairwise([*timed, config.rounds + 1]):
        one, numbers = timed[first], range(first, after)
        last = round_seconds(load_of(simulation, one, rates, workers), rates)
        last["record"] += one.record_sec
        evaluations = sum(_evaluates(config, number) for number in numbers)
        for part, seconds in last.items():
            parts[part] += seconds * (evaluations if part == "evaluate" else len(numbers))
        for number in numbers:
            parts["checkpoint"] += _checkpoint_sec(simulation, one, number, rates)
        rows += one.rows * len(numbers)
    return parts, last, rows


def load_of(simulation: Simulation, timed: Timed, rates: Rates, workers: int) -> Load:
    """A timed round as the model of rounds takes it: without what the rates stand for."""
    registered = simulation.federation.num_clients
    model_bytes = bytes_of(simulation)
    drawn = timed.cohort * rates.schedule + registered * rates.registered
    served = rates.handle + serving(model_bytes, timed.reduced, rates)
    averaged = rates.aggregate if timed.reduced else model_bytes * rates.combine_byte
    return Load(
        cohort=timed.cohort,
        registered=registered,
        workers=workers,
        model_bytes=model_bytes,
        client_sec=max(timed.client_sec - served, 0.0),
        reduced=timed.reduced,
        evaluated=timed.evaluated,
        evaluate_sec=max(timed.evaluate_sec - rates.handle, 0.0),
        schedule_sec=max(timed.schedule_sec - drawn, 0.0),
        aggregate_sec=max(timed.aggregate_sec - timed.cohort * averaged, 0.0),
        before=timed.before,
        after=timed.after,
    )


def bytes_of(simulation: Simulation) -> int:
    """Size of the model's arrays."""
    return sum(t.numel() * t.element_size() for t in simulation.model.state_dict().values())


def workers_of(engine: StrictConfig) -> int:
    """Worker processes of Ray; 0 for one process."""
    settings: Any = engine
    if settings.name != "ray":
        return 0
    return settings.workers if isinstance(settings.workers, int) else cores()


def start_sec(workers: int, rates: Rates) -> float:
    """From launch to the first round."""
    if not workers:
        return rates.start
    return rates.start + rates.start_ray + workers * rates.start_worker / cores()


def _evaluates(config: SimulationConfig, round_: int) -> bool:
    every = config.evaluate.every
    return every > 0 and (round_ % every == 0 or round_ == config.rounds)


def _checkpoint_sec(simulation: Simulation, timed: Timed, round_: int, rates: Rates) -> float:
    """A checkpoint after a round; it grows with the clients that have kept something."""
    config = simulation.config
    if round_ % config.checkpoint.every and round_ != config.rounds:
        return 0.0
    if not timed.state_bytes:
        return timed.checkpoint_sec
    registered = simulation.federation.num_clients
    seen = registered * (1.0 - (1.0 - timed.cohort / registered) ** round_)
    more = max(seen - timed.kept, 0.0) * timed.state_bytes
    return timed.checkpoint_sec + more * rates.checkpoint_byte


def _finish_sec(simulation: Simulation, timed: Timed, rows: float, rates: Rates) -> float:
    """The global test, the summary, the report."""
    tested = len(next(iter(simulation.federation.test.values()), []))
    held = float(simulation.federation.sizes("test").mean())
    sample_sec = timed.evaluate_sec / max(held, 1.0) if timed.evaluated else 0.0
    report = rates.report if simulation.config.report else 0.0
    stop = rates.stop_ray if workers_of(simulation.config.engine) else 0.0
    return rates.finish + stop + report + rows * rates.finish_row + tested * sample_sec
