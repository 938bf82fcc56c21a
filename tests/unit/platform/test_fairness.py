"""Fairness figures against hand-computed values, independent formulas and SciPy."""

import numpy as np
import pytest
from scipy import stats

from fedzda.platform import fairness

GOLDEN = np.array([0.2, 0.4, 0.6, 0.8])


def test_golden_values():
    found = fairness.describe(GOLDEN, np.ones(4))
    expected = {
        "n": 4, "excluded": 0, "mean": 0.5, "weighted_mean": 0.5, "variance_pp2": 500.0,
        "std": 0.223607, "worst10": 0.2, "best10": 0.8, "min": 0.2, "max": 0.8, "gini": 0.25,
        "jain": 0.833333, "entropy": 1.279854, "entropy_normalised": 1.279854 / 1.386294,
    }  # fmt: skip
    assert found == pytest.approx(expected, abs=1e-6)


def test_against_independent_formulas():
    a = np.random.default_rng(0).beta(2, 1, size=137)
    found = fairness.describe(a, np.arange(137.0))
    pairwise = np.abs(a[:, None] - a[None, :]).sum() / (2 * a.size**2 * a.mean())
    assert found["gini"] == pytest.approx(pairwise)
    assert found["entropy"] == pytest.approx(stats.entropy(a))
    assert found["variance_pp2"] == pytest.approx(stats.moment(100 * a, 2))
    cosine = a @ np.ones(137) / np.linalg.norm(a) / np.sqrt(137)
    assert found["jain"] == pytest.approx(cosine**2)
    assert found["weighted_mean"] == pytest.approx(np.average(a, weights=np.arange(137)))
    assert found["worst10"] == pytest.approx(np.mean(sorted(a)[:14]))
    assert found["best10"] == pytest.approx(np.mean(sorted(a)[-14:]))


@pytest.mark.parametrize(("n", "k"), [(1, 1), (9, 1), (10, 1), (11, 2), (20, 2), (1000, 100)])
def test_tail_is_never_empty(n, k):
    assert fairness.tail_size(n) == k


def test_keys_of_summary():
    keys = list(fairness.summarise(GOLDEN, np.ones(4)))
    assert set(keys) == {
        "n", "excluded", "mean", "weighted_mean", "variance_pp2", "std", "worst10", "best10",
        "min", "max", "gini", "jain", "entropy", "entropy_normalised", "mean_ci95", "worst10_ci95",
    }  # fmt: skip
    assert keys == list(fairness.summarise([], []))


def test_clients_without_value_are_excluded_and_counted():
    values = np.array([0.2, np.nan, 0.4, np.inf, 0.6, 0.8])
    weights = np.array([1.0, 50.0, 1.0, 50.0, 1.0, 1.0])
    found = fairness.summarise(values, weights)
    assert (found["n"], found["excluded"]) == (4, 2)
    assert {k: v for k, v in found.items() if k != "excluded"} == {
        k: v for k, v in fairness.summarise(GOLDEN, np.ones(4)).items() if k != "excluded"
    }


def test_all_zero_leaves_ratios_undefined():
    found = fairness.summarise(np.zeros(5), np.ones(5))
    assert found["mean"] == found["worst10"] == found["variance_pp2"] == 0.0
    assert [found[k] for k in ("gini", "jain", "entropy", "entropy_normalised")] == [None] * 4
    assert found["mean_ci95"] == [0.0, 0.0]


def test_no_clients():
    found = fairness.summarise([np.nan], [1])
    assert (found.pop("n"), found.pop("excluded")) == (0, 1)
    assert set(found.values()) == {None}


def test_no_weight_leaves_the_weighted_mean_undefined():
    assert fairness.describe(GOLDEN, np.zeros(4))["weighted_mean"] is None


def test_limits_of_the_indices():
    one_has_all = np.array([0.0, 0.0, 0.0, 1.0])
    assert fairness.gini(one_has_all) == pytest.approx(0.75)
    assert fairness.jain(one_has_all) == pytest.approx(0.25)
    assert fairness.entropy(one_has_all) == {"entropy": 0.0, "entropy_normalised": 0.0}
    equal = np.full(7, 1e-200)
    assert fairness.gini(equal) == pytest.approx(0.0)
    assert fairness.jain(equal) == pytest.approx(1.0)
    assert fairness.entropy(equal)["entropy_normalised"] == pytest.approx(1.0)
    assert fairness.entropy([0.4])["entropy_normalised"] == 1.0
    assert fairness.gini([-1.0, 2.0]) is None


def test_worst_is_highest_for_a_loss():
    found = fairness.summarise(GOLDEN, np.ones(4), higher_is_better=False)
    assert (found["worst10"], found["best10"]) == (0.8, 0.2)
    turned = fairness.summarise(-GOLDEN, np.ones(4))
    assert found["mean_ci95"] == [-x for x in reversed(turned["mean_ci95"])]
    assert found["worst10_ci95"] == [-x for x in reversed(turned["worst10_ci95"])]


@pytest.mark.parametrize("weights", [[1.0], [1.0, -1.0, 1.0, 1.0], [1.0, np.nan, 1.0, 1.0]])
def test_bad_weights_are_refused(weights):
    with pytest.raises(ValueError, match="weights"):
        fairness.describe(GOLDEN, weights)


def test_intervals_depend_on_the_seed_alone():
    a = np.random.default_rng(1).random(40)
    assert fairness.intervals(a, 3) == fairness.intervals(a, 3)
    assert fairness.intervals(a, 3) != fairness.intervals(a, 4)


def test_mean_interval_agrees_with_scipy():
    a = np.random.default_rng(2).beta(3, 1, size=60)
    low, high = fairness.intervals(a)["mean"]
    reference = stats.bootstrap((a,), np.mean, method="percentile", n_resamples=5000, rng=0)
    width = reference.confidence_interval.high - reference.confidence_interval.low
    assert low == pytest.approx(reference.confidence_interval.low, abs=0.08 * width)
    assert high == pytest.approx(reference.confidence_interval.high, abs=0.08 * width)


def test_memory_chunks_do_not_change_an_interval(monkeypatch):
    a = np.random.default_rng(5).random(30)
    whole = fairness.intervals(a)
    monkeypatch.setattr(fairness.clients, "_CHUNK", 1000)
    assert fairness.intervals(a) == whole


@pytest.mark.parametrize("better", [True, False])
def test_normal_form_agrees_with_the_bootstrap(monkeypatch, better):
    a = np.random.default_rng(3).beta(2, 1, size=4000)
    exact = fairness.intervals(a, higher_is_better=better)
    monkeypatch.setattr(fairness.clients, "BOOTSTRAP_LIMIT", 100)
    cheap = fairness.intervals(a, higher_is_better=better)
    for name in fairness.INTERVALS:
        width = exact[name][1] - exact[name][0]
        assert cheap[name] == pytest.approx(exact[name], abs=0.12 * width)


def test_a_million_clients():
    a = np.random.default_rng(4).random(1_000_000)
    found = fairness.summarise(a, np.ones(a.size))
    assert found["mean_ci95"][0] < 0.5 < found["mean_ci95"][1]
    assert found["worst10_ci95"][0] < 0.05 < found["worst10_ci95"][1]


def test_pairs_cancel_what_both_runs_share():
    rng = np.random.default_rng(6)
    a = rng.random(50)
    b = a + 0.1
    low, high = fairness.paired_intervals(a, b)["mean"]
    assert (low, high) == pytest.approx((0.1, 0.1))
    unpaired = fairness.intervals(b)["mean"]
    assert unpaired[1] - unpaired[0] > 0.1
    assert fairness.paired_intervals(a, b, higher_is_better=False)["worst10"] == pytest.approx(
        [0.1, 0.1]
    )


def test_pairs_above_the_limit(monkeypatch):
    rng = np.random.default_rng(7)
    a = rng.random(3000)
    b = np.clip(a + rng.normal(0.05, 0.1, 3000), 0, 1)
    exact = fairness.paired_intervals(a, b)
    monkeypatch.setattr(fairness.clients, "BOOTSTRAP_LIMIT", 100)
    cheap = fairness.paired_intervals(a, b)
    for name in fairness.INTERVALS:
        width = exact[name][1] - exact[name][0]
        assert cheap[name] == pytest.approx(exact[name], abs=0.15 * width)


def test_gain_over_local_training():
    found = fairness.gain([0.9, 0.5, np.nan, 0.7], [0.8, 0.6, 0.5, 0.7])
    assert found == pytest.approx(
        {"n": 3, "excluded": 1, "mean_gain": 0.0, "share_worse_off": 1 / 3}
    )
    assert fairness.gain([], []) == {
        "n": 0, "excluded": 0, "mean_gain": None, "share_worse_off": None,
    }  # fmt: skip
