"""Pooling before ReLU changes no bit."""

from __future__ import annotations

import copy
import io
from typing import Any

import torch
from torch import nn

from fedzda.base import ImageSpec
from fedzda.clients.pool_first import pool_first
from fedzda.compression.config import QuantizeConfig
from fedzda.compression.graph import trace
from fedzda.compression.prepare import describe, prepare


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(4, 4, 3), nn.ReLU(inplace=True),
        nn.MaxPool2d(3, padding=1), nn.Flatten(), nn.LazyLinear(3),
    )  # fmt: skip


def kinds(model: nn.Module, images: torch.Tensor) -> list[str]:
    """The kinds of the layers in the order in which they are called."""
    called = []

    def look(module: nn.Module, *_: Any) -> None:
        if not list(module.children()):
            called.append(type(module).__name__)

    handle = nn.modules.module.register_module_forward_hook(look)
    model(images)
    handle.remove()
    return called


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
    order = kinds(swapped, images)
    assert order[1:3] == order[4:6] == ["MaxPool2d", "ReLU"]
    assert [type(layer).__name__ for layer in swapped][1:3] == ["ReLU", "MaxPool2d"]
    mine, theirs = trained(swapped, images), trained(plain, images)
    assert list(mine) == list(theirs)
    assert all(torch.equal(mine[name], theirs[name]) for name in mine)


def test_what_somebody_looks_at_is_left_alone() -> None:
    class Own(nn.Sequential):
        def forward(self, x: Any) -> Any:
            return self[1](self[0](x)) + x

    leaky = nn.Sequential(nn.LeakyReLU(-1.0), nn.MaxPool2d(2))
    indices = nn.Sequential(nn.ReLU(), nn.MaxPool2d(2, return_indices=True))
    images = torch.randn(2, 1, 4, 4)
    for model in (Own(nn.ReLU(), nn.MaxPool2d(1)), leaky, indices):
        before = kinds(model, images)
        pool_first(model)
        assert kinds(model, images) == before


def test_who_listens_later_sees_what_the_layer_makes_as_written() -> None:
    model, seen = nn.Sequential(nn.ReLU(), nn.MaxPool2d(2)), []
    pool_first(model)
    images = torch.randn(2, 1, 4, 4)
    handle = model[0].register_forward_hook(lambda _, __, out: seen.append(out))
    model(images)
    assert torch.equal(seen[0], images.relu())
    handle.remove()
    assert kinds(model, images) == ["MaxPool2d", "ReLU"]


def test_layers_used_twice_and_slices_compute_what_they_did() -> None:
    class Skip(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU(), nn.MaxPool2d(2))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            early = self.body[:2](x)
            return torch.cat([early.flatten(1), self.body[2:](early).flatten(1)], dim=1)

    class Named(nn.Sequential):
        stages = ("0",)

    shared = nn.Conv2d(1, 1, 3, padding=1)
    images = torch.randn(2, 1, 8, 8)
    for model in (
        nn.Sequential(shared, nn.ReLU(), shared, nn.MaxPool2d(2)),
        Skip(),
        Named(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.MaxPool2d(2)),
    ):
        name, before = type(model).__name__, model(images)
        pool_first(model)
        assert torch.equal(copy.deepcopy(model)(images), before)
        assert type(model).__name__ == name
    assert isinstance(model, Named)
    assert model.stages == ("0",)


def test_a_traced_model_has_the_order_in_which_it_was_written() -> None:
    """Otherwise a quantizer would stand between convolution and ReLU, for numbers of both signs."""
    image = ImageSpec((1, 14, 14), 3, (0.0,), (1.0,))
    plain, swapped = network().eval(), network().eval()
    images = torch.randn(4, *image.shape)
    plain(images), swapped(images)
    pool_first(swapped)
    found = [describe(prepare(trace(own, image), QuantizeConfig())) for own in (plain, swapped)]
    assert found[0] == found[1]


def test_models_are_stored_as_they_were_written_and_copied_as_they_are() -> None:
    model, images = network(), torch.randn(2, 1, 16, 16)
    model(images)  # settles the lazy layer
    pool_first(model)
    stored = io.BytesIO()
    torch.save(model, stored)
    stored.seek(0)
    found = torch.load(stored, weights_only=False)  # made two lines above
    assert type(found) is nn.Sequential
    assert torch.equal(found(images), model(images))
    copied = copy.deepcopy(model)
    assert kinds(copied, images) == kinds(model, images) != kinds(found, images)
    assert copied[0].weight is not model[0].weight
