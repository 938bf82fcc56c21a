"""The models that all sides train: plain torch, so that every side imports the same code."""

from __future__ import annotations

import torch
from torch import nn


class LeNet(nn.Sequential):
    """LeNet (LeCun et al. 1998) on 28x28 grey images: 46,730 parameters."""

    def __init__(self) -> None:
        super().__init__(
            nn.Conv2d(1, 16, 5),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 5),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(512, 64),
            nn.ReLU(),
            nn.Linear(64, 10),
        )


class SimpleCNN(nn.Sequential):
    """pfl-research's ``simple_cnn`` of its CIFAR-10 benchmark, with dropout and Glorot start.

    Takes (N, 3, 32, 32); pfl-research stores images channels-last, which is left to the side.
    """

    def __init__(self) -> None:
        super().__init__(
            nn.Conv2d(3, 32, 3),
            nn.ReLU(),
            nn.Conv2d(32, 64, 3),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Dropout(0.25),
            nn.Flatten(),
            nn.Linear(64 * 14 * 14, 128),
            nn.ReLU(),
            nn.Dropout(0.5),
            nn.Linear(128, 10),
        )
        for module in self:
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.xavier_uniform_(module.weight)


class SmallNet(nn.Sequential):
    """One hidden layer on 8x8 images: so little work that overhead is seen."""

    def __init__(self) -> None:
        super().__init__(nn.Flatten(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))


class EchoModel(nn.Module):
    """Ten arrays of the same size, about ``floats`` float32 values in total; it learns nothing."""

    def __init__(self, floats: int) -> None:
        super().__init__()
        rng = torch.Generator().manual_seed(0)
        for number in range(10):
            value = torch.randn(floats // 10, generator=rng)
            self.register_parameter(f"layer{number}", nn.Parameter(value))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """No opinion: zeros (N, 10)."""
        return x.new_zeros(len(x), 10)


MODELS: dict[str, type[nn.Module]] = {
    "lenet": LeNet,
    "simple-cnn": SimpleCNN,
    "small": SmallNet,
}


def make_model(name: str) -> nn.Module:
    """A new model of the given name."""
    return MODELS[name]()
