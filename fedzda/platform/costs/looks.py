"""How much a pilot can afford to time, and the rounds it times."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from fedzda.platform.costs.hints import has_amounts, phases
from fedzda.platform.costs.pilot import Pilot, Timed, extrapolated, piloted, quickest

if TYPE_CHECKING:
    from fedzda.platform.simulation import Simulation

_PILOT_SEC = 3.0
"""What a pilot may take, about; one client of the cohort trains in any case."""
_MOST_CLIENTS = 12
_REPEATS = 3
_SMALL_SHARE = 0.1


@dataclass(frozen=True)
class Look:
    """What a first look says about how much a pilot can afford.

    Attributes:
        clients: Clients to time.
        steps: Their local steps; None: all.
        factor: From these steps to all of them.
        warm_sec: What happens once per process: imports, and what torch makes on first use.
    """

    clients: int
    steps: int | None
    factor: float
    warm_sec: float


def pilot_rounds(simulation: Simulation) -> tuple[dict[int, Timed], float]:
    """A timed round for each stretch of rounds that cost the same, by its first round.

    Also the seconds that a process spends once, on what it uses for the first time.
    """
    config = simulation.config
    numbers = phases(config.strategy, config.rounds)
    look = _first_look(simulation, numbers)
    found: dict[int, Timed] = {}
    with piloted(simulation, _SMALL_SHARE, look.steps) as pilot:
        for number in numbers:
            found[number] = _repeated(pilot, number, look.clients)
        spent = pilot.played_sec
    if has_amounts(config.strategy):
        more = min(1.0, _SMALL_SHARE * max(2.0, _PILOT_SEC / max(spent, 1e-3)))
        with piloted(simulation, more, look.steps) as pilot:
            for number in numbers[1:] or numbers:
                high = _repeated(pilot, number, look.clients)
                found[number] = extrapolated(found[number], high, (_SMALL_SHARE, more))
    longer = {
        number: replace(one, client_sec=one.client_sec * look.factor)
        for number, one in found.items()
    }
    return longer, look.warm_sec


def _first_look(simulation: Simulation, numbers: list[int]) -> Look:
    """Two rounds with one client and one step: the first one also loads what is loaded late."""
    with piloted(simulation, _SMALL_SHARE, 1) as pilot:
        pilot.play(numbers[-1], 1)
        warm_sec = pilot.played_sec
        step_sec = pilot.play(numbers[-1], 1).client_sec
        warm_sec -= pilot.played_sec
    local = simulation.config.local
    sizes = simulation.federation.sizes("train")
    steps = local.steps or max(float(sizes.mean()) / local.batch_size, 1.0) * local.epochs
    client_sec = max(step_sec * steps, 1e-4)
    if client_sec <= _PILOT_SEC:
        clients = int(max(1, min(_MOST_CLIENTS, _PILOT_SEC / client_sec)))
        return Look(clients, None, 1.0, max(warm_sec, 0.0))
    timed_steps = max(1, int(_PILOT_SEC / step_sec))
    return Look(1, timed_steps, steps / timed_steps, max(warm_sec, 0.0))


def _repeated(pilot: Pilot, number: int, clients: int) -> Timed:
    """A round, and again while that is cheap."""
    rounds = [pilot.play(number, clients)]
    while len(rounds) < _REPEATS and pilot.played_sec * (len(rounds) + 1) < _PILOT_SEC / 2:
        rounds.append(pilot.play(number, clients))
    return quickest(rounds)
