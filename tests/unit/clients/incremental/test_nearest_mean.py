"""Nearest-mean-of-exemplars classification by hand."""

import numpy as np
import pytest
import torch

from fedzda.clients.incremental.head import ABSENT, CosineHead, nearest
from fedzda.clients.incremental.nearest_mean import feature_sums
from fedzda.platform.scenario.nearest_mean import class_means

FEATURES = torch.tensor([[3.0, 4.0], [0.0, 2.0], [1.0, 0.0], [8.0, -6.0]])
"""Unit vectors (.6, .8), (0, 1), (1, 0), (.8, -.6)."""
LABELS = torch.tensor([0, 0, 1, 1])


def test_sums_of_unit_features():
    sums = feature_sums(FEATURES, LABELS, 3)
    assert sums.tolist() == [pytest.approx([0.6, 1.8]), pytest.approx([1.8, -0.6]), [0.0, 0.0]]


def test_means_have_length_one_and_sums_of_clients_add_up():
    whole = class_means(feature_sums(FEATURES, LABELS, 3).numpy())
    expected = [[0.316228, 0.948683], [0.948683, -0.316228], [0.0, 0.0]]
    assert np.allclose(whole, expected, atol=1e-6)
    parts = [feature_sums(FEATURES[rows], LABELS[rows], 3).numpy() for rows in ([0, 2], [1, 3])]
    assert np.allclose(class_means(parts[0] + parts[1]), whole)


def test_the_nearest_mean_decides():
    means = torch.from_numpy(class_means(feature_sums(FEATURES, LABELS, 3).numpy()))
    found = nearest(torch.tensor([[1.0, 1.0], [2.0, -2.0], [-1.0, -1.0]]), means)
    assert found[0].tolist() == pytest.approx([0.894427, 0.447214, -2.0], abs=1e-6)
    assert found.argmax(dim=1).tolist() == [0, 1, 1]  # never the class without exemplars


def test_a_head_goes_by_means_as_long_as_it_has_some():
    torch.manual_seed(0)
    head = CosineHead(2, 4)
    head.seen = 2
    features = torch.tensor([[1.0, 1.0]])
    plain = head(features)
    head.means = torch.from_numpy(class_means(feature_sums(FEATURES, LABELS, 2).numpy()))
    found = head(features)
    assert found[0].tolist() == pytest.approx([0.894427, 0.447214, ABSENT, ABSENT])
    assert "means" not in head.state_dict()
    head.means = None
    assert torch.equal(head(features), plain)
