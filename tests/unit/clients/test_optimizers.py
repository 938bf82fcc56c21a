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


@pytest.mark.parametrize("used", [[1, 0, 1, 1], [0, 1, 0, 1]])
@pytest.mark.parametrize("config", [SGDConfig(lr=0.03, momentum=0.9), AdamConfig(lr=0.01)])
def test_layers_that_some_steps_skip(config, used):
    """As in networks with stochastic depth; the last layer is never used."""
    nets = [torch.nn.ModuleList(model() for _ in range(3)) for _ in range(2)]
    mine = make_optimizer(config, nets[0], 1.0)
    if isinstance(config, SGDConfig):
        other = torch.optim.SGD(nets[1].parameters(), config.lr, config.momentum, foreach=True)
    else:
        other = torch.optim.AdamW(nets[1].parameters(), config.lr, weight_decay=0.0, foreach=True)
    for net, optimizer in zip(nets, (mine, other), strict=True):
        torch.manual_seed(1)
        for second in used:
            optimizer.zero_grad()
            x = torch.randn(4, 5)
            loss = net[0](x).square().sum()
            if second:
                loss = loss + net[1](x).square().sum()
            loss.backward()
            optimizer.step()
    for ours, theirs in zip(nets[0].parameters(), nets[1].parameters(), strict=True):
        assert torch.equal(ours, theirs)
    assert not torch.equal(nets[0][1][0].weight, model()[0].weight)
