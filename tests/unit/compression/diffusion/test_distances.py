import numpy as np
import pytest
import torch

from fedzda.compression.diffusion.distances import density, kernel_mmd


def rng():
    return torch.Generator().manual_seed(0)


def test_kernel_distance_is_the_sum_over_pairs():
    x, y = torch.randn(4, 3, generator=rng()), torch.randn(5, 3, generator=rng()) + 1

    def kernel(a, b):
        return (float(a.double() @ b.double()) / 3 + 1) ** 3

    same_x = np.mean([kernel(a, b) for i, a in enumerate(x) for j, b in enumerate(x) if i != j])
    same_y = np.mean([kernel(a, b) for i, a in enumerate(y) for j, b in enumerate(y) if i != j])
    cross = np.mean([kernel(a, b) for a in x for b in y])
    assert kernel_mmd(x, y) == pytest.approx(same_x + same_y - 2 * cross)


def test_kernel_distance_is_unbiased():
    source = rng()
    found = [
        kernel_mmd(torch.randn(20, 4, generator=source), torch.randn(20, 4, generator=source))
        for _ in range(200)
    ]
    assert abs(np.mean(found)) < 3 * np.std(found) / 200**0.5


def test_density_counts_the_neighbourhoods_around_made_vectors():
    # with one neighbour every real vector reaches as far as 1
    real = torch.tensor([[0.0], [1.0], [2.0], [3.0]])
    assert density(real, torch.tensor([[1.5]]), neighbours=1) == 2
    assert density(real, torch.tensor([[1.5], [50.0]]), neighbours=1) == 1


def test_density_is_about_one_for_the_same_distribution():
    source = rng()
    real, made = (torch.randn(400, 2, generator=source) for _ in range(2))
    assert density(real, made) == pytest.approx(1, abs=0.1)
    assert density(real, made + 50) == 0


def test_density_of_a_single_real_vector_is_not_known():
    assert np.isnan(density(torch.zeros(1, 4), torch.zeros(3, 4)))
