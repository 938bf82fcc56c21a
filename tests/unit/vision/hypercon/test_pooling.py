"""Mean, median and medoid of candidates that count."""

import numpy as np
import pytest

from fedzda.vision.hypercon.pooling import pool


def column(*values):
    """Candidates of one pixel and three equal channels."""
    return np.float32(values).reshape(-1, 1, 1, 1).repeat(3, axis=3)


def weights(*values):
    return np.float32(values).reshape(-1, 1, 1)


@pytest.mark.parametrize(
    ("how", "counts", "wanted"),
    [
        ("mean", (1, 1, 1, 1), 0.475),
        ("mean", (1, 0.5, 0, 0), (0.1 + 0.5 * 0.2) / 1.5),
        ("median", (1, 1, 1, 1), 0.4),
        ("median", (1, 1, 1, 0), 0.2),
        ("median", (1, 0.2, 0, 0.6), 0.55),
        ("medoid", (1, 1, 1, 1), 0.2),
        ("medoid", (0.2, 1, 1, 1), 0.6),
        ("medoid", (1, 0, 0, 0), 0.1),
    ],
)
def test_by_hand(how, counts, wanted):
    found = pool(column(0.1, 0.2, 0.6, 1.0), weights(*counts), how)
    assert found[0, 0] == pytest.approx([wanted] * 3, abs=1e-6)


def test_a_medoid_is_one_of_the_colours_and_a_median_need_not_be():
    red, green, blue = np.eye(3, dtype=np.float32)
    stack = np.stack([red, green, blue]).reshape(3, 1, 1, 3)
    assert not pool(stack, weights(1, 1, 1), "median").any()
    assert pool(stack, weights(1, 1, 1), "medoid")[0, 0].tolist() == red.tolist()


@pytest.mark.parametrize("how", ["mean", "median", "medoid"])
def test_one_candidate_is_the_result(how):
    assert pool(column(0.3), weights(1), how)[0, 0, 0] == np.float32(0.3)
