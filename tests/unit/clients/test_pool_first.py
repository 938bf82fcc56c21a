"""Pooling before ReLU changes no bit."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from fedzda.clients.pool_first import pool_first


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 4, 3), nn.ReLU(inplace=True),
        nn.MaxPool2d(3, padding=1), nn.Flatten(), nn.LazyLinear(3),
    )  # fmt: skip


def kinds(model: nn.Module) -> list[str]:
    return [type(module).__name__ for module in model.children()]


def trained(model: nn.Module, images: torch.Tensor) -> dict[str, torch.Tensor]:
    labels = torch.arange(len(images)) % 3
    parameters = list(model.parameters())
    for _ in range(3):
        loss = nn.functional.cross_entropy(model(images), labels)
        gradients = torch.autograd.grad(loss, parameters)
        with torch.no_grad():
            torch._foreach_add_(parameters, gradients, alpha=-0.1)
    return model.state_dict()


def test_the_same_bits_after_training() -> None:
    # few grey levels: many windows hold ties, and whole windows are negative
    images = torch.randint(
        -2, 3, (6, 1, 14, 14), generator=torch.Generator().manual_seed(1)
    ).float()
    plain, swapped = network(), network()
    plain(images), swapped(images)
    swapped.load_state_dict(plain.state_dict())
    pool_first(swapped)
    assert kinds(swapped)[1:3] == ["MaxPool2d", "ReLU"]
    assert kinds(swapped)[4:6] == ["MaxPool2d", "ReLU"]
    mine, theirs = trained(swapped, images), trained(plain, images)
    assert list(mine) == list(theirs)
    assert all(torch.equal(mine[name], theirs[name]) for name in mine)


def test_what_somebody_looks_at_is_left_alone() -> None:
    class Own(nn.Sequential):
        def forward(self, x: Any) -> Any:
            return self[1](self[0](x)) + x

    hooked = nn.Sequential(nn.ReLU(), nn.MaxPool2d(2))
    hooked[0].register_forward_hook(lambda *_: None)
    leaky = nn.Sequential(nn.LeakyReLU(-1.0), nn.MaxPool2d(2))
    indices = nn.Sequential(nn.ReLU(), nn.MaxPool2d(2, return_indices=True))
    for model in (Own(nn.ReLU(), nn.MaxPool2d(1)), hooked, leaky, indices):
        before = kinds(model)
        pool_first(model)
        assert kinds(model) == before
