import math

import pytest
import torch
from torch import nn

from fedzda.base import ImageSpec, torch_rng
from fedzda.generators.features import coverage, frechet_distance, logits_and_features

IMAGE = ImageSpec((1, 1, 2), 2, (0.5,), (0.5,))


def normal(count, mean, std, key):
    rng = torch_rng(0, "normal", key)
    return torch.randn(count, len(mean), generator=rng) * torch.tensor(std) + torch.tensor(mean)


def test_frechet_distance_of_two_gaussians():
    """In closed form for diagonal covariances: sum of squared gaps of means and deviations."""
    first = normal(20_000, [0.0, 1.0], [1.0, 2.0], 0)
    second = normal(20_000, [1.0, 1.0], [3.0, 2.0], 1)
    assert frechet_distance(first, second) == pytest.approx(1.0 + 4.0, rel=0.05)
    assert frechet_distance(first, first) == pytest.approx(0.0, abs=1e-6)
    rotation = torch.linalg.qr(normal(2, [0.0, 0.0], [1.0, 1.0], 2)).Q
    turned = frechet_distance(first @ rotation, second @ rotation)
    assert turned == pytest.approx(frechet_distance(first, second), rel=1e-4)


def test_frechet_distance_of_fewer_vectors_than_dimensions_is_finite():
    few = normal(5, [0.0] * 20, [1.0] * 20, 0)
    assert frechet_distance(few, few + 1.0) == pytest.approx(20.0, rel=1e-4)


def test_coverage():
    real, same = (normal(1000, [0.0] * 4, [1.0] * 4, key) for key in (0, 1))
    assert coverage(real, same) == pytest.approx(1 - 2**-5, abs=0.02)
    assert coverage(real, same + 50) == 0.0
    assert coverage(real, same[:1].repeat(1000, 1)) < 0.1


def test_coverage_by_hand():
    real = torch.tensor([[0.0], [1.0], [10.0], [12.0]])
    assert coverage(real, torch.tensor([[0.4]]), neighbours=1) == 0.5
    assert coverage(real, torch.tensor([[11.0]]), neighbours=1) == 0.5


def test_features_are_what_enters_the_last_linear_layer():
    model = nn.Sequential(nn.Flatten(), nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 2))
    images = torch.rand(4, 1, 1, 2)
    logits, features = logits_and_features(model, images, IMAGE)
    hidden = model[:3](IMAGE.normalize(images))
    torch.testing.assert_close(features, hidden.detach())
    torch.testing.assert_close(logits, model[3](hidden).detach())
    assert not model[1]._forward_pre_hooks
    plain = nn.Flatten()
    logits, features = logits_and_features(plain, images, IMAGE)
    assert torch.equal(logits, features)


def test_one_vector_has_no_neighbourhood():
    assert math.isnan(coverage(torch.ones(1, 2), torch.ones(1, 2)))
