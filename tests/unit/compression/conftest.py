import pytest
import torch
from torch import nn

from fedzda.base import ImageSpec


class Residual(nn.Module):
    """Everything small: BatchNorm after convolutions and alone, a padded shortcut, pooling."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(2, 4, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(4)
        self.pool = nn.MaxPool2d(2)
        self.wide = nn.Sequential(
            nn.Conv2d(4, 8, 3, stride=2, padding=1), nn.BatchNorm2d(8), nn.ReLU6(inplace=True)
        )
        self.deep = nn.Sequential(nn.Conv2d(8, 8, 3, padding=1, groups=8), nn.BatchNorm2d(8))
        self.last_norm = nn.BatchNorm2d(8)
        self.dropout = nn.Dropout(0.5)
        self.classifier = nn.Linear(8, 3)
        nn.init.normal_(self.classifier.weight, std=3)

    def forward(self, x):
        x = self.pool(torch.relu(self.norm(self.stem(x))))
        shortcut = nn.functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 2, 2))
        x = self.deep(self.wide(x)) + shortcut
        x = torch.relu(self.last_norm(x))
        return self.classifier(self.dropout(x.mean(dim=(2, 3))))


def settled(model, shape=(2, 8, 8)):
    """The model in eval mode with BatchNorm statistics and factors of both signs."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d | nn.BatchNorm1d):
                nn.init.normal_(module.weight)
                nn.init.normal_(module.bias, std=0.3)
        with torch.no_grad():
            for _ in range(5):
                model.train()(torch.randn(32, *shape) * 2 + 0.5)
    return model.eval()


@pytest.fixture
def image():
    return ImageSpec((2, 8, 8), 3, (0.4, 0.5), (0.25, 0.3))


@pytest.fixture
def model():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return settled(Residual())


@pytest.fixture
def pixels():
    return torch.rand(96, 2, 8, 8, generator=torch.Generator().manual_seed(3))


@pytest.fixture
def rng():
    return torch.Generator().manual_seed(0)
