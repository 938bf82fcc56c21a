import logging
import math

import pytest
import torch

from fedzda.base import RunError, torch_rng
from fedzda.generators.collapse import (
    LOW_ENTROPY,
    CollapseDetector,
    class_entropy,
    collapse_figures,
    collapse_warnings,
    nearest_spread,
    reached_entropy,
)

EVEN, ONE = torch.tensor([0, 1, 2, 3]), torch.zeros(4, dtype=torch.int64)


def test_class_entropy_of_known_histograms():
    assert class_entropy(torch.tensor([0, 1, 0, 1]), 2) == pytest.approx(1.0)
    assert class_entropy(torch.tensor([1, 1, 1]), 2) == 0.0
    expected = (0.25 * math.log(4) + 0.75 * math.log(4 / 3)) / math.log(4)
    assert class_entropy(torch.tensor([0, 2, 2, 2]), 4) == pytest.approx(expected)


def test_nearest_spread_by_hand():
    # Class 0 at 0 and 3, class 1 at 1 and 5: nearest of its class 3, 3, 4, 4; mean pair 17/6.
    rows = torch.tensor([[0.0], [3.0], [1.0], [5.0]])
    labels = torch.tensor([0, 0, 1, 1])
    assert nearest_spread(rows, labels) == pytest.approx(3.5 / (17 / 6))
    assert nearest_spread(torch.ones(3, 2), torch.zeros(3)) == 0.0
    assert math.isnan(nearest_spread(rows, torch.arange(4)))


def test_real_images_raise_no_warning_and_copies_do(classifier, digits):
    pixels, labels, image = digits
    real = collapse_figures(classifier, pixels[:200], labels[:200], image)
    assert collapse_warnings(real) == []
    copies = pixels[:10].repeat(20, 1, 1, 1) + 0.001 * torch.rand(
        200, 1, 8, 8, generator=torch_rng(0, "noise")
    )
    found = collapse_warnings(collapse_figures(classifier, copies, labels[:10].repeat(20), image))
    assert len(found) == 2
    assert "copies of few" in found[0]
    same = collapse_figures(classifier, pixels[:1].repeat(50, 1, 1, 1), labels[:50], image)
    assert "0.00 of the largest entropy" in collapse_warnings(same)[0]


def test_the_detector_counts_steps_in_a_row():
    detector = CollapseDetector("generator 1", 4, 0.5, 3, "fail")
    for seen in (ONE, ONE, EVEN, ONE):
        detector.see(seen)
    assert detector.see(EVEN) == pytest.approx(1.0)
    detector.see(ONE)
    detector.see(ONE)
    with pytest.raises(RunError, match=r"generator 1 has collapsed: for 3 steps.*class 0 has 4"):
        detector.see(ONE)


def test_the_detector_can_warn_once_instead(caplog):
    detector = CollapseDetector("generator 0", 4, 0.5, 2, "warn")
    with caplog.at_level(logging.WARNING, "fedzda.generators.collapse"):
        for _ in range(6):
            detector.see(ONE)
    assert len(caplog.records) == 1


def test_a_batch_smaller_than_the_classes_can_be_as_varied_as_it_gets():
    detector = CollapseDetector("generator 0", 1000, 0.5, 1, "fail")
    assert detector.see(torch.arange(16)) == pytest.approx(1.0)


def test_fewer_images_than_classes_are_no_collapse():
    predicted = torch.arange(20)
    assert class_entropy(predicted, 1000) < LOW_ENTROPY
    assert reached_entropy(predicted, 1000) == pytest.approx(1.0)
    assert math.isnan(reached_entropy(predicted[:1], 10))


def test_a_single_image_raises_no_warning(classifier, digits):
    pixels, labels, image = digits
    assert collapse_warnings(collapse_figures(classifier, pixels[:1], labels[:1], image)) == []
