"""Which classes are learned when: the order of the classes, and the phase of a round."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fedzda.base import UserError
from fedzda.platform.config import ScenarioConfig
from fedzda.platform.scenario.config import ClassIncrementalConfig


def class_order(num_classes: int, seed: int | None) -> list[int]:
    """The classes in the order in which they are learned.

    Class-incremental studies call ``np.random.seed(1993)`` and shuffle; this is the same draw from
    a generator of its own.
    """
    order = np.arange(num_classes)
    if seed is not None:
        np.random.RandomState(seed).shuffle(order)
    return [int(label) for label in order]


@dataclass(frozen=True)
class PhaseSchedule:
    """Rounds and classes of every phase. A class is named by its position in the order.

    Attributes:
        order: Dataset label of every position.
        borders: Classes seen after each phase, ascending; phase 0 is the base phase.
        base_rounds: Rounds of phase 0.
        phase_rounds: Rounds of every further phase.
        cumulative: Whether clients train on their samples of earlier phases, too.
    """

    order: tuple[int, ...]
    borders: tuple[int, ...]
    base_rounds: int
    phase_rounds: int
    cumulative: bool = False

    @property
    def num_phases(self) -> int:
        """Phases, the base phase included."""
        return len(self.borders)

    @property
    def rounds(self) -> int:
        """Rounds of all phases."""
        return self.base_rounds + (self.num_phases - 1) * self.phase_rounds

    def phase(self, round_: int) -> int:
        """The phase of a round (from 1); rounds after the last phase belong to it."""
        if round_ <= self.base_rounds:
            return 0
        later = (round_ - self.base_rounds - 1) // self.phase_rounds
        return min(1 + later, self.num_phases - 1)

    def first_round(self, phase: int) -> int:
        """The first round of a phase."""
        return 1 if phase == 0 else self.base_rounds + (phase - 1) * self.phase_rounds + 1

    def last_round(self, phase: int) -> int:
        """The last round of a phase."""
        return self.base_rounds + phase * self.phase_rounds

    def length(self, phase: int) -> int:
        """Rounds of a phase."""
        return self.phase_rounds if phase else self.base_rounds

    def old(self, phase: int) -> int:
        """Classes seen before a phase."""
        return self.borders[phase - 1] if phase else 0

    def seen(self, phase: int) -> int:
        """Classes seen up to a phase."""
        return self.borders[phase]

    def trained(self, phase: int) -> slice:
        """Classes whose training samples exist in a phase."""
        return slice(0 if self.cumulative else self.old(phase), self.seen(phase))


def schedule_of(
    config: ScenarioConfig | None, num_classes: int, cumulative: bool = False
) -> PhaseSchedule:
    """The schedule of a run; without a scenario one phase of all classes, which never ends.

    Args:
        config: The scenario.
        num_classes: Of the data set.
        cumulative: See :class:`PhaseSchedule`.

    Raises:
        UserError: the data set's classes cannot be dealt out to the phases.
    """
    if config is None:
        return PhaseSchedule(tuple(range(num_classes)), (num_classes,), 2**31, 1)
    assert isinstance(config, ClassIncrementalConfig)
    base, each = config.base_classes, config.classes_per_phase
    if base > num_classes:
        raise UserError(
            f"scenario.base_classes is {base}, but the data set has {num_classes} classes. "
            "Lower it."
        )
    phases = config.phases
    if phases is None:
        phases, rest = divmod(num_classes - base, each)
        if rest:
            raise UserError(
                f"scenario.classes_per_phase is {each}, which does not divide the "
                f"{num_classes - base} classes after the base phase. Change it, or set "
                "scenario.phases to stop earlier."
            )
    elif base + phases * each > num_classes:
        raise UserError(
            f"scenario.phases is {phases}: with {base} base classes and {each} per phase that "
            f"takes {base + phases * each} classes, and the data set has {num_classes}. Lower one "
            "of them."
        )
    borders = tuple(base + each * phase for phase in range(phases + 1))
    _check_exemplars(config, borders[-1])
    return PhaseSchedule(
        order=tuple(class_order(num_classes, config.order_seed)),
        borders=borders,
        base_rounds=_base_rounds(config),
        phase_rounds=config.rounds_per_phase,
        cumulative=cumulative,
    )


def _base_rounds(config: ClassIncrementalConfig) -> int:
    return config.rounds_per_phase if config.base_rounds is None else config.base_rounds


def _check_exemplars(config: ClassIncrementalConfig, classes: int) -> None:
    """Refuse a memory that is too small for one sample of every class."""
    total = config.exemplars_total
    if total is not None and total < classes:
        raise UserError(
            f"scenario.exemplars_total is {total}, which leaves a client less than one sample for "
            f"each of {classes} classes. Raise it to at least {classes}."
        )


def check_rounds(schedule: PhaseSchedule, rounds: int) -> None:
    """Refuse a run that is longer than its phases; a shorter one ends in an earlier phase."""
    if rounds > schedule.rounds:
        raise UserError(
            f"rounds is {rounds}, but the scenario has {schedule.num_phases} phases of "
            f"{schedule.rounds} rounds together. Set rounds to {schedule.rounds}, or raise "
            "scenario.base_rounds or scenario.rounds_per_phase."
        )


def positions(order: Sequence[int]) -> np.ndarray:
    """``(num_classes,)`` position in the order of every dataset label."""
    found = np.empty(len(order), dtype=np.int64)
    found[np.asarray(order)] = np.arange(len(order))
    return found
