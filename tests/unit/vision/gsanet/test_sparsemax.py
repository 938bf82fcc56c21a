import numpy as np
import pytest
import torch

from fedzda.vision.gsanet.sparsemax import entmax15, softmax, sparsemax, support


@pytest.mark.parametrize(
    ("scores", "weights"),
    [
        ([-2.0, 0.0, 0.5], [0.0, 0.25, 0.75]),
        ([0.1, 1.1, 0.2, 0.3], [0.0, 0.9, 0.0, 0.1]),
        ([2.0, 0.0, 0.0], [1.0, 0.0, 0.0]),
        ([0.7] * 5, [0.2] * 5),
    ],
)
def test_golden_values(scores, weights):
    assert sparsemax(torch.tensor(scores)).tolist() == pytest.approx(weights, abs=1e-6)


def test_gradient_by_hand():
    scores = torch.tensor([-2.0, 0.0, 0.5], requires_grad=True)
    sparsemax(scores).backward(torch.tensor([1.0, 2.0, 3.0]))
    assert scores.grad.tolist() == [0.0, -0.5, 0.5]


@pytest.mark.parametrize("function", [sparsemax, entmax15])
def test_gradients_by_differences(function):
    scores = torch.randn(2, 3, 9, dtype=torch.float64, generator=torch.manual_seed(0))
    assert torch.autograd.gradcheck(function, scores.requires_grad_())


@pytest.mark.parametrize("function", [sparsemax, entmax15, softmax])
def test_weights_are_probabilities_and_shifts_change_nothing(function):
    scores = 3 * torch.randn(4, 2, 50, generator=torch.manual_seed(1))
    weights = function(scores)
    assert (weights >= 0).all()
    assert torch.allclose(weights.sum(-1), torch.ones(4, 2), atol=1e-5)
    assert torch.allclose(function(scores + 1000.0), weights, atol=1e-3)


def test_sparsemax_is_the_nearest_point_of_the_simplex():
    scores = np.random.default_rng(2).normal(size=6)
    found = sparsemax(torch.from_numpy(scores)).numpy()
    others = np.random.default_rng(3).dirichlet(np.ones(6), size=5000)
    assert ((found - scores) ** 2).sum() <= ((others - scores) ** 2).sum(axis=1).min()


def test_entmax15_solves_its_equation():
    # The weights are max(z / 2 - tau, 0)^2 with one tau for all, and sum to 1.
    scores = torch.randn(7, 30, dtype=torch.float64, generator=torch.manual_seed(4))
    weights = entmax15(scores)
    tau = (scores / 2 - weights.sqrt()).masked_fill(weights == 0, torch.nan)
    assert torch.allclose(
        tau.nanmean(-1, keepdim=True).expand_as(tau)[weights > 0], tau[weights > 0]
    )
    assert (scores / 2 <= tau.nanmean(-1, keepdim=True) + 1e-9)[weights == 0].all()


def test_support_shrinks_as_scores_spread():
    scores = torch.randn(200, 1024, generator=torch.manual_seed(5))
    sizes = [support(sparsemax(std * scores)).double().mean().item() for std in (1.0, 0.1, 0.01)]
    assert sizes == pytest.approx([4.1, 27, 185], rel=0.05)
    assert support(softmax(scores)).unique().tolist() == [1024]
    between = support(entmax15(scores)).double().mean().item()
    assert sizes[0] < between < 1024


def test_half_precision_is_projected_in_single():
    scores = torch.linspace(-1, 1, 4096, dtype=torch.float16)
    weights = sparsemax(scores)
    assert weights.dtype == torch.float16
    assert torch.allclose(weights.float(), sparsemax(scores.float()), atol=1e-3)


@pytest.mark.parametrize("function", [sparsemax, entmax15])
def test_the_way_without_gradient_is_the_same(function):
    scores = torch.randn(3, 20, generator=torch.manual_seed(6))
    assert torch.equal(function(scores), function(scores.clone().requires_grad_()).detach())


@pytest.mark.parametrize("function", [softmax, sparsemax, entmax15])
@pytest.mark.parametrize("wrong", [float("nan"), float("inf")])
def test_scores_that_are_not_finite_stay_visible(function, wrong):
    """As with softmax; a network that runs away is found by its loss, not by an index."""
    scores = torch.tensor([[0.0, wrong, 1.0], [0.0, 1.0, 2.0]], requires_grad=True)
    found = function(scores)
    assert found[0].isnan().any()
    assert torch.equal(found[1], function(scores[1]))
    found.sum().backward()
