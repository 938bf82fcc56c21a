"""FedGen's generator, its losses by hand, and what it learns from clients' heads."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from fedzda.base import UserError
from fedzda.generators.feature_generator import (
    FeatureGenerator,
    ensemble_loss,
    feature_diversity,
    head_of,
)
from fedzda.strategies.config.generative import FedGenConfig
from fedzda.strategies.fed_gen import Lesson, teach


def test_ensemble_loss_by_hand():
    """Two heads of one feature: mean logits (2, 0) for the feature 1 with weights 1/2."""
    heads = [
        (torch.tensor([[4.0], [0.0]]), torch.zeros(2)),
        (torch.tensor([[0.0], [0.0]]), torch.zeros(2)),
    ]
    half = torch.full((2, 2), 0.5)
    found = ensemble_loss(torch.ones(1, 1), torch.tensor([0]), heads, half).item()
    assert found == pytest.approx(np.log(1 + np.exp(-2.0)))
    first = torch.tensor([[1.0, 0.0], [0.0, 1.0]])  # class 0 is the first client's
    found = ensemble_loss(torch.ones(1, 1), torch.tensor([0]), heads, first).item()
    assert found == pytest.approx(np.log(1 + np.exp(-4.0)), rel=1e-4)


def test_diversity_by_hand():
    z = torch.tensor([[0.0], [2.0]])
    assert feature_diversity(torch.tensor([[1.0], [1.0]]), z).item() == 1.0
    apart = feature_diversity(torch.tensor([[1.0], [4.0]]), z).item()
    assert apart == pytest.approx(np.exp(-(0 + 4 * 3 + 4 * 3 + 0) / 4))


def test_generator_learns_features_that_the_heads_take_for_their_classes():
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(5, 8), torch.nn.ReLU(), torch.nn.Linear(8, 3))
    handler = SimpleNamespace(
        model=model, device=torch.device("cpu"), image=SimpleNamespace(num_classes=3)
    )
    models = []
    for _ in range(2):
        torch.nn.init.normal_(model[2].weight)
        models.append({k: v.detach().clone().numpy() for k, v in model.state_dict().items()})
    config = FedGenConfig(generator_steps=200, generator_lr=0.01, hidden=32)
    weights = np.full((2, 3), 0.5)
    state, figures = teach(handler, Lesson(models, weights, [0.5, 0.5, 0.0], config, (0, 1), None))
    assert figures["teacher"] < np.log(3)
    generator = FeatureGenerator(3, 8, config.z_size, 32)
    generator.load_state_dict(state)
    labels = torch.tensor([0, 1]).repeat(50)
    features = generator.eval()(generator.noise(100, torch.Generator().manual_seed(1)), labels)
    logits = [features @ torch.tensor(m["2.weight"]).T + torch.tensor(m["2.bias"]) for m in models]
    assert (sum(logits).argmax(1) == labels).float().mean() > 0.95
    again, _ = teach(handler, Lesson(models, weights, [0.5, 0.5, 0.0], config, (0, 1), None))
    assert all(torch.equal(state[name], again[name]) for name in state)
    further, later = teach(handler, Lesson(models, weights, [0.5, 0.5, 0.0], config, (0, 2), state))
    assert later["teacher"] < figures["teacher"]
    assert any(not torch.equal(state[name], further[name]) for name in state)


def test_head_is_the_last_linear_layer():
    model = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Linear(3, 4))
    assert head_of(model) == ("1", model[1])
    with pytest.raises(UserError, match="last linear layer"):
        head_of(torch.nn.Conv2d(1, 1, 1))
