import pytest
import torch

from fedzda.clients.optimizers import make_optimizer
from fedzda.platform.config import AdamConfig, SGDConfig


def model():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(5, 7), torch.nn.ReLU(), torch.nn.Linear(7, 3))


def train(net, optimizer):
    torch.manual_seed(1)
    for _ in range(6):
        optimizer.zero_grad()
        net(torch.randn(4, 5)).square().sum().backward()
        optimizer.step()
    return [p.detach().clone() for p in net.parameters()]


@pytest.mark.parametrize(
    "config",
    [
        SGDConfig(lr=0.03),
        SGDConfig(lr=0.03, momentum=0.9),
        SGDConfig(lr=0.03, momentum=0.9, nesterov=True, weight_decay=0.01),
        AdamConfig(lr=0.01),
        AdamConfig(lr=0.01, betas=[0.5, 0.99], weight_decay=0.1),
    ],
)
def test_equals_torch_optim_bit_for_bit(config):
    ours, theirs = model(), model()
    if isinstance(config, SGDConfig):
        reference = torch.optim.SGD(
            theirs.parameters(),
            lr=config.lr * 0.5,
            momentum=config.momentum,
            nesterov=config.nesterov,
            weight_decay=config.weight_decay,
            foreach=True,
        )
    else:
        reference = torch.optim.AdamW(
            theirs.parameters(),
            lr=config.lr * 0.5,
            betas=tuple(config.betas),
            weight_decay=config.weight_decay,
            foreach=True,
        )
    for mine, other in zip(
        train(ours, make_optimizer(config, ours, 0.5)), train(theirs, reference), strict=True
    ):
        assert torch.equal(mine, other)
