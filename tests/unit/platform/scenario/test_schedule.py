"""The order of the classes, the phases of rounds, and what does not fit."""

import numpy as np
import pytest

from fedzda.base import UserError
from fedzda.platform.scenario.config import ClassIncrementalConfig
from fedzda.platform.scenario.schedule import check_rounds, class_order, positions, schedule_of


def scenario(**changes):
    return ClassIncrementalConfig(**{"base_classes": 4, "classes_per_phase": 2, **changes})


def test_the_order_of_the_field():
    order = class_order(100, 1993)
    assert order[:10] == [68, 56, 78, 8, 23, 84, 90, 65, 74, 76]
    assert order[50:60] == [37, 95, 14, 71, 96, 98, 97, 2, 64, 66]
    assert order[-5:] == [67, 29, 49, 57, 33]
    assert class_order(5, None) == [0, 1, 2, 3, 4]


def test_the_order_leaves_the_global_generator_alone():
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    class_order(10, 1993)
    assert np.array_equal(before, np.random.get_state()[1])  # noqa: NPY002


def test_positions_are_the_inverse_of_the_order():
    order = class_order(100, 1993)
    position = positions(order)
    assert position[68] == 0
    assert position[56] == 1
    assert [order[i] for i in position] == list(range(100))


def test_phases_of_rounds():
    schedule = schedule_of(scenario(base_rounds=3, rounds_per_phase=2), 10)
    assert schedule.borders == (4, 6, 8, 10)
    assert schedule.rounds == 9
    assert [schedule.phase(r) for r in range(1, 11)] == [0, 0, 0, 1, 1, 2, 2, 3, 3, 3]
    assert [schedule.first_round(p) for p in range(4)] == [1, 4, 6, 8]
    assert [schedule.last_round(p) for p in range(4)] == [3, 5, 7, 9]
    assert [(schedule.old(p), schedule.seen(p)) for p in (0, 1, 3)] == [(0, 4), (4, 6), (8, 10)]
    assert [schedule.length(p) for p in (0, 1)] == [3, 2]


def test_no_scenario_is_one_phase_without_end():
    schedule = schedule_of(None, 10)
    assert schedule.borders == (10,)
    assert schedule.phase(10**6) == 0


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"base_classes": 12}, "scenario.base_classes is 12, but the data set has 10 classes"),
        ({"classes_per_phase": 4}, "scenario.classes_per_phase is 4, which does not divide the 6"),
        ({"phases": 4}, "takes 12 classes, and the data set has 10"),
    ],
)
def test_classes_that_do_not_fit(changes, words):
    with pytest.raises(UserError, match=words):
        schedule_of(scenario(**changes), 10)


def test_too_many_rounds():
    schedule = schedule_of(scenario(), 10)
    check_rounds(schedule, 4)
    check_rounds(schedule, 2)
    with pytest.raises(UserError, match="rounds is 5, but the scenario has 4 phases of 4 rounds"):
        check_rounds(schedule, 5)
