"""The virtual clock of a run, from its configuration, its data and its model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fedzda.platform.config import SimulationConfig
from fedzda.platform.data.federation import Federation
from fedzda.platform.devices.clock import VirtualClock
from fedzda.platform.devices.fleet import Fleet
from fedzda.platform.devices.work import Samples
from fedzda.platform.devices.workload import Workload
from fedzda.platform.engines.base import Engine
from fedzda.platform.scenario.schedule import schedule_of

if TYPE_CHECKING:
    from torch import nn


def clock_of(
    config: SimulationConfig,
    federation: Federation,
    fleet: Fleet | None,
    model: nn.Module,
    engine: Engine,
) -> VirtualClock | None:
    """Virtual time where devices have a speed; None where all are equal.

    Args:
        config: The configuration of the run.
        federation: Its data.
        fleet: The clients' devices.
        model: The global model.
        engine: A started engine, whose worker counts the multiply-adds of the task.

    Raises:
        UserError: The model fits no device's memory or deadline.
    """
    if fleet is None:
        return None
    buffers = frozenset(name for name, _ in model.named_buffers())
    macs = engine.map(count_macs, [None])[0]
    held = _samples(config, federation)
    workload = Workload(fleet, macs, held, config.local, buffers, config.uplink)
    workload.check({name: value.numpy() for name, value in model.state_dict().items()})
    return VirtualClock(workload, config.seed, config.strategy.clients_per_round)


def count_macs(handler: Any, _: None) -> int:
    """A job for a worker: multiply-adds of a forward pass of the run's task on one sample."""
    return int(handler.count_macs())


def _samples(config: SimulationConfig, federation: Federation) -> Samples:
    """What the clients hold, as the clock counts it."""
    classes = len(federation.class_names)
    schedule = None
    if config.scenario is not None:
        cumulative = getattr(config.strategy, "cumulative", False)
        schedule = schedule_of(config.scenario, classes, cumulative)
    by_class = (lambda: federation.label_counts("train")) if classes else None
    return Samples(federation.sizes("train"), by_class, schedule)
