import math

import pytest
import torch
from torch.distributions import Categorical, kl_divergence

from fedzda.generators import losses


def logits(*rows):
    return torch.tensor(rows).log()


ONE_HOT = torch.tensor([[60.0, -60.0], [-60.0, 60.0]])
COLLAPSED = torch.tensor([[60.0, -60.0], [60.0, -60.0]])
UNIFORM = torch.zeros(2, 2)


@pytest.mark.parametrize(
    ("seen", "instance", "batch"),
    [
        (ONE_HOT, 0.0, 0.693147),
        (COLLAPSED, 0.0, 0.0),
        (UNIFORM, 0.693147, 0.693147),
    ],
)
def test_entropies_of_two_classes(seen, instance, batch):
    assert losses.instance_entropy(seen).item() == pytest.approx(instance, abs=1e-6)
    assert losses.batch_entropy(seen).item() == pytest.approx(batch, abs=1e-6)


def test_collapse_raises_the_sum_and_certainty_over_all_classes_is_its_minimum():
    total = [
        (losses.instance_entropy(seen) - losses.batch_entropy(seen)).item()
        for seen in (ONE_HOT, COLLAPSED, UNIFORM)
    ]
    assert total == pytest.approx([-0.693147, 0.0, 0.0], abs=1e-6)


def test_extreme_logits_have_finite_gradients():
    seen = torch.tensor([[1e4, -1e4], [1e4, -1e4]], requires_grad=True)
    (losses.instance_entropy(seen) - losses.batch_entropy(seen)).backward()
    assert seen.grad.isfinite().all()


def test_kl_direction_and_temperature():
    teacher, student = logits([0.7, 0.3], [0.2, 0.8]), logits([0.5, 0.5], [0.9, 0.1])
    expected = kl_divergence(Categorical(logits=teacher), Categorical(logits=student)).mean()
    torch.testing.assert_close(losses.kl_divergence(teacher, student), expected)
    warm = kl_divergence(Categorical(logits=teacher / 4), Categorical(logits=student / 4)).mean()
    torch.testing.assert_close(losses.kl_divergence(teacher, student, 4.0), 16 * warm)


def test_js_is_symmetric_and_bounded():
    first, second = logits([0.7, 0.3]), logits([0.4, 0.6])
    middle = torch.tensor([0.55, 0.45])
    by_hand = 0.7 * math.log(0.7 / 0.55) + 0.3 * math.log(0.3 / 0.45)
    by_hand += 0.4 * math.log(0.4 / 0.55) + 0.6 * math.log(0.6 / 0.45)
    assert middle.sum() == 1
    found = losses.js_divergence(first, second, 1.0)
    assert found.item() == pytest.approx(by_hand / 2, abs=1e-6)
    torch.testing.assert_close(found, losses.js_divergence(second, first, 1.0))
    assert losses.js_divergence(ONE_HOT, ONE_HOT.flip(0), 1.0) <= math.log(2)
    assert losses.js_divergence(ONE_HOT, ONE_HOT, 1.0) == 0


def test_mode_seeking_by_hand():
    pixels = torch.tensor([0.1, 0.2, 0.5, 0.2]).view(4, 1, 1, 1)
    z_ND = torch.tensor([[0.0], [1.0], [1.0], [4.0]])
    assert losses.mode_seeking(pixels, z_ND).item() == pytest.approx(0.2 / 2)


def test_image_norm_by_hand():
    x_NCHW = torch.tensor([[[[3.0, 4.0]]], [[[0.0, 1.0]]]])
    assert losses.image_norm(x_NCHW).item() == pytest.approx(3.0)


def test_total_variation_by_hand():
    # Differences to the right 1 and 1, downwards 1 and 1, on the diagonals 2 and 0.
    x_NCHW = torch.tensor([[[[0.0, 1.0], [1.0, 2.0]]]])
    assert losses.total_variation(x_NCHW).item() == pytest.approx(2 * 2**0.5 + 2.0)
