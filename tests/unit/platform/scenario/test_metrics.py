"""The averages of the sheet, and old against new by hand."""

import numpy as np
import pytest

from fedzda.platform.scenario.metrics import (
    average_incremental,
    describe_phases,
    forgetting,
    weighted_average,
)

A = [0.76, 0.70, 0.66, 0.62, 0.58, 0.55]


def test_averages():
    assert average_incremental(A) == pytest.approx(0.645)
    assert average_incremental(A[1:]) == pytest.approx(0.622)
    assert weighted_average(A, range(50, 101, 10)) == pytest.approx(0.628889, abs=1e-6)


def test_phases_by_hand():
    hits = [[9, 10, 0, 0], [4, 6, 10, 0], [2, 6, 5, 9]]
    found = describe_phases(hits, [10, 10, 10, 10], [2, 3, 4])
    assert found["accuracy"] == pytest.approx([0.95, 20 / 30, 22 / 40])
    assert found["old"] == [None, pytest.approx(0.5), pytest.approx(13 / 30)]
    assert found["new"] == pytest.approx([0.95, 1.0, 0.9])
    assert found["last"] == pytest.approx(0.55)
    assert found["average"] == pytest.approx((0.95 + 20 / 30 + 0.55) / 3)
    assert found["average_without_base"] == pytest.approx((20 / 30 + 0.55) / 2)
    assert found["base_forgetting"] == pytest.approx(0.95 - 0.4)
    assert found["forgetting"] == pytest.approx(np.mean([0.7, 0.4, 0.5]))


def test_the_base_phase_alone():
    found = describe_phases([[9, 10, 0]], [10, 10, 10], [2, 3])
    assert found["accuracy"] == [0.95]
    assert found["forgetting"] is None
    assert np.isnan(forgetting(np.ones((1, 2)), [2]))
