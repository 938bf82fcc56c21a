"""Gain over training alone against cost, by hand."""

import pytest

from fedzda.platform.fairness import benefit, gain


def test_benefit_by_hand():
    found = benefit([0.9, 0.5, 0.7], [0.5, 0.7, 0.7], [10.0, 30.0, 0.0], [100, 100, 100])
    assert found["mean_gain"] == pytest.approx(0.2 / 3)
    assert found["share_worse_off"] == pytest.approx(1 / 3)
    seconds = found["seconds"]
    assert seconds["mean"] == pytest.approx(40 / 3)
    assert seconds["gain_per_unit"] == pytest.approx(0.2 / 40)
    assert seconds["worst10_per_unit"] == pytest.approx(-0.2 / 30)  # of those who paid something
    assert seconds["paid_by_losers"] == pytest.approx(0.75)
    assert seconds["gini"] == pytest.approx(0.5)
    assert found["bytes"]["gini"] == 0.0
    assert found["bytes"]["paid_by_losers"] == pytest.approx(1 / 3)


def test_clients_without_a_value_pay_but_do_not_count():
    found = benefit([0.9, float("nan")], [0.5, 0.5], [1.0, 9.0], [1, 1])
    assert found["n"] == 1
    assert found["seconds"]["gain_per_unit"] == pytest.approx(0.4)


def test_without_cost_or_clients_figures_are_undefined():
    assert set(benefit([0.9], [0.5], [0.0], [0.0])["seconds"].values()) == {None}
    assert benefit([], [], [], [])["mean_gain"] is None


@pytest.mark.parametrize("seconds", [[1.0], [-1.0, 1.0], [float("nan"), 1.0]])
def test_bad_costs_are_refused(seconds):
    with pytest.raises(ValueError, match="seconds"):
        benefit([0.5, 0.5], [0.5, 0.5], seconds, [1, 1])


def test_gain_is_part_of_it():
    values, alone = [0.9, 0.5, 0.7], [0.8, 0.6, 0.7]
    found = benefit(values, alone, [1, 1, 1], [1, 1, 1])
    assert {key: found[key] for key in gain(values, alone)} == gain(values, alone)


def test_of_an_error_less_is_a_gain():
    better = [0.2, 0.4], [0.5, 0.3], [1.0, 3.0], [1, 1]
    found = benefit(*better, higher_is_better=False)
    assert found["mean_gain"] == pytest.approx(0.1)
    assert found["share_worse_off"] == 0.5
    assert found["seconds"]["paid_by_losers"] == pytest.approx(0.75)
    assert found["seconds"]["worst10_per_unit"] == pytest.approx(-0.1 / 3)
