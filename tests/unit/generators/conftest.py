"""A tiny network with BatchNorm, trained on the digits of scikit-learn."""

import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn

from fedzda.base import ImageSpec


def network():
    return nn.Sequential(
        nn.Conv2d(1, 12, 3, stride=2, padding=1),
        nn.BatchNorm2d(12),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(192, 48),
        nn.BatchNorm1d(48),
        nn.ReLU(),
        nn.Linear(48, 10),
    )


def train(x_NCHW, labels, seed, epochs=4):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = network()
        optimizer = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
        for _ in range(epochs):
            for rows in torch.randperm(len(labels)).split(32):
                optimizer.zero_grad()
                nn.functional.cross_entropy(net(x_NCHW[rows]), labels[rows]).backward()
                optimizer.step()
    return net.eval()


@pytest.fixture(scope="session")
def train_net():
    return train


@pytest.fixture(scope="session")
def digits():
    data = load_digits()
    pixels = torch.tensor(data.images / 16.0, dtype=torch.float32)[:, None]
    image = ImageSpec((1, 8, 8), 10, (pixels.mean().item(),), (pixels.std().item(),))
    return pixels, torch.tensor(data.target, dtype=torch.int64), image


@pytest.fixture(scope="session")
def classifier(digits):
    pixels, labels, image = digits
    return train(image.normalize(pixels), labels, seed=1)


@pytest.fixture
def fresh_net():
    """A network with initial weights."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return network()
