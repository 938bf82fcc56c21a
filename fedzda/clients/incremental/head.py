"""The last layer of a model whose classes arrive in phases.

It has a row for every class that will ever come, in the order in which they come, and ``seen`` says
how many of them exist by now: growing a head is raising ``seen``. Rows beyond it take no part in
the logits, so the softmax, its gradient and predictions are those of a head of ``seen`` rows. This
way the model's arrays keep their shapes, which averages over clients and checkpoints rely on.

The cosine head, its scale and the imprinting of new rows are LUCIR's (Hou et al., CVPR 2019,
sections 3.2 and 3.3).
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from fedzda.base import ImageSpec, UserError
from fedzda.platform.config import ScenarioConfig
from fedzda.platform.scenario.config import ClassIncrementalConfig

ABSENT = -1e4
"""Logit of a class that has not come yet: its probability is exactly 0 in float32 and float64."""
_BELOW_ALL = -2.0
"""Below every cosine."""


class IncrementalHead(nn.Linear):
    """A linear layer of which the first ``seen`` rows exist."""

    def __init__(self, in_features: int, num_classes: int, bias: bool = True) -> None:
        super().__init__(in_features, num_classes, bias)
        self.seen = num_classes
        self.means: torch.Tensor | None = None
        """Unit mean features ``(seen, D)`` of exemplars: where there are any, classes are told by
        the nearest of them instead of by the layer."""

    def logits(self, features_ND: torch.Tensor, seen: int) -> torch.Tensor:
        """Logits ``(N, seen)``."""
        bias = None if self.bias is None else self.bias[:seen]
        return functional.linear(features_ND, self.weight[:seen], bias)

    def forward(self, features_ND: torch.Tensor) -> torch.Tensor:
        """Logits ``(N, num_classes)``, :data:`ABSENT` for classes that have not come yet."""
        if self.means is None:
            logits_NS = self.logits(features_ND, self.seen)
        else:
            logits_NS = nearest(features_ND, self.means)
        return functional.pad(logits_NS, (0, self.out_features - self.seen), value=ABSENT)


def nearest(features_ND: torch.Tensor, means_SD: torch.Tensor) -> torch.Tensor:
    """Cosines ``(N, S)`` of features and unit means: the largest is that of the nearest mean.

    A class without a mean (a row of zeros) gets less than any cosine.
    """
    cosines_NS = functional.normalize(features_ND, dim=1) @ means_SD.T
    return cosines_NS.masked_fill((means_SD == 0).all(dim=1), _BELOW_ALL)


class CosineHead(IncrementalHead):
    """``sigma * cos(feature, embedding)`` with a learned sigma, initially 1."""

    def __init__(self, in_features: int, num_classes: int) -> None:
        super().__init__(in_features, num_classes, bias=False)
        self.sigma = nn.Parameter(torch.ones(1))

    def cosines(self, features_ND: torch.Tensor, seen: int) -> torch.Tensor:
        """Cosines ``(N, seen)`` in [-1, 1]."""
        features_ND = functional.normalize(features_ND, dim=1)
        return functional.linear(features_ND, functional.normalize(self.weight[:seen], dim=1))

    def logits(self, features_ND: torch.Tensor, seen: int) -> torch.Tensor:
        """Logits ``(N, seen)``."""
        return self.sigma * self.cosines(features_ND, seen)


def fit_head(model: nn.Module, scenario: ScenarioConfig, image: ImageSpec) -> nn.Module:
    """Replace the last linear layer of ``model`` by the scenario's head; returns the model.

    A linear head keeps the layer's weights; a cosine head starts from them, without the bias.

    Raises:
        UserError: The model has no linear layer, or its last one does not give the logits.
    """
    assert isinstance(scenario, ClassIncrementalConfig)
    layers = [(n, m) for n, m in model.named_modules() if isinstance(m, nn.Linear)]
    if not layers:
        raise UserError(
            "scenario 'class-incremental' lets the model's last linear layer grow, and the model "
            f"has none ({type(model).__name__}). Choose a model that ends in a linear layer."
        )
    name, layer = layers[-1]
    if layer.out_features != image.num_classes:
        raise UserError(
            "scenario 'class-incremental' lets the model's last linear layer grow, and that of "
            f"{type(model).__name__}, '{name}', has {layer.out_features} outputs for "
            f"{image.num_classes} classes. Choose a model whose last linear layer gives the logits."
        )
    head: IncrementalHead
    if scenario.head == "cosine":
        head = CosineHead(layer.in_features, layer.out_features)
    else:
        head = IncrementalHead(layer.in_features, layer.out_features, layer.bias is not None)
    kept = {key: value for key, value in layer.state_dict().items() if key in head.state_dict()}
    head.load_state_dict(kept, strict=False)
    parent, _, last = name.rpartition(".")
    setattr(model.get_submodule(parent), last, head)
    return model


def head_of(model: nn.Module) -> IncrementalHead:
    """The growing head of a model. Raises UserError if it has none."""
    for module in model.modules():
        if isinstance(module, IncrementalHead):
            return module
    raise UserError(
        f"model {type(model).__name__} has no growing head. Set scenario: {{name: "
        "class-incremental, …}, or build the model with fedzda.clients.incremental.head.fit_head."
    )


@torch.no_grad()
def imprint(head: IncrementalHead, features_ND: torch.Tensor, label: int, num_old: int) -> None:
    """Set the row of a new class: the mean of its normalised features, at the old rows' mean norm.

    Args:
        head: Changed in place.
        features_ND: Features of samples of the class.
        label: Its position.
        num_old: Rows of old classes.
    """
    mean_D = functional.normalize(features_ND, dim=1).mean(dim=0)
    norm = head.weight[:num_old].norm(dim=1).mean()
    head.weight[label] = functional.normalize(mean_D, dim=0) * norm
