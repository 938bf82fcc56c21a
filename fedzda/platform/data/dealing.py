"""The federation of a run: dealt out in the order of its scenario, and fit for its other blocks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fedzda.base import ImageSpec, UserError
from fedzda.platform.config import SimulationConfig
from fedzda.platform.data.federation import CLIENT, Federation, prepare
from fedzda.platform.scenario.labels import relabelled
from fedzda.platform.scenario.schedule import check_rounds, schedule_of


def dealt(config: SimulationConfig, folder: Path) -> Federation:
    """The data of a run, with the classes in the order of its scenario, if it has one."""
    federation = prepare(config.data, config.seed, folder)
    if config.scenario is None:
        return federation
    schedule = schedule_of(config.scenario, len(federation.class_names))
    check_rounds(schedule, config.rounds)
    return relabelled(federation, schedule)


def image_of(federation: Federation) -> ImageSpec:
    """The images of a federation; every task so far needs some."""
    if federation.image is None:
        raise UserError("data: the data set has no image column, and the task needs one.")
    return federation.image


def check_columns(columns: Sequence[str], federation: Federation) -> None:
    """The data set must have the columns that the task reads."""
    for name in columns:
        if name != CLIENT and name not in federation.train:
            raise UserError(
                f"task: it needs the column '{name}', which the data set does not have. Name it "
                f"in data.{name}, or choose a data set that has one."
            )


def check_cohort(config: SimulationConfig, federation: Federation) -> None:
    """The cohort must not be larger than the population."""
    wanted = config.strategy.clients_per_round
    if wanted is not None and wanted > federation.num_clients:
        raise UserError(
            f"strategy.clients_per_round is {wanted}, but there are only "
            f"{federation.num_clients} clients. Lower it or raise data.clients."
        )
