"""Measures of heterogeneity, by hand and against SciPy."""

import numpy as np
import pytest
from scipy import stats

from fedzda.platform.heterogeneity import (
    effective_classes,
    label_distances,
    label_skew,
    pixel_skew,
    sentence,
)

COUNTS = np.array([[10, 0], [5, 5], [0, 10]])


def test_label_distance_by_hand():
    assert label_distances(COUNTS).tolist() == pytest.approx([0.5, 0.0, 0.5])
    assert np.isnan(label_distances(np.array([[0, 0], [1, 1]]))[0])


def test_effective_classes_are_the_exponential_of_the_entropy():
    assert effective_classes(COUNTS).tolist() == pytest.approx([1.0, 2.0, 1.0])
    counts = np.random.default_rng(0).integers(1, 50, (6, 9))
    assert effective_classes(counts) == pytest.approx(np.exp(stats.entropy(counts, axis=1)))


def test_skew_of_a_federation():
    found = label_skew(COUNTS)
    assert found["label_distance"] == pytest.approx(1 / 3)
    assert found["effective_classes"] == pytest.approx(4 / 3)
    assert (found["classes"], found["size_gini"]) == (2, 0.0)
    assert label_skew(np.array([[30, 0], [5, 5]]))["size_gini"] == pytest.approx(0.25)


def test_even_deals_lie_at_their_own_floor():
    rng = np.random.default_rng(1)
    small = label_skew(rng.multinomial(20, [0.1] * 10, size=400))
    assert small["label_distance"] == pytest.approx(small["label_distance_even"], rel=0.03)
    large = label_skew(rng.multinomial(2000, [0.1] * 10, size=400))
    assert large["label_distance_even"] < 0.2 * small["label_distance_even"]


def test_pixel_distance_sees_shifted_means_and_added_noise():
    rng = np.random.default_rng(2)
    same = rng.random((30, 20, 1, 6, 6))
    found = pixel_skew(same)
    assert found["pixel_distance"] == pytest.approx(found["pixel_distance_even"], rel=0.05)
    moved = same + np.repeat([0.0, 0.5], 15)[:, None, None, None, None]
    assert pixel_skew(moved)["pixel_distance"] == pytest.approx(0.25, abs=0.03)
    noisy = same + rng.normal(0, np.repeat([0.0, 0.5], 15)[:, None, None, None, None], same.shape)
    far = pixel_skew(noisy)
    assert far["pixel_distance"] > 1.3 * far["pixel_distance_even"]


def test_in_one_line():
    found = label_skew(COUNTS) | {"pixel_distance": 0.2, "pixel_distance_even": 0.1}
    assert sentence(found).startswith("label distance 0.33 (")
    assert sentence(found).endswith("pixel distance 0.200 (0.100 if dealt evenly)")
    assert sentence(label_skew(np.zeros((2, 2), dtype=int))) == "no training samples"


def test_some_clients_are_held_against_all_labels():
    found = label_distances(np.array([[4, 0]]), np.array([5, 15]))
    assert found.tolist() == [0.75]
