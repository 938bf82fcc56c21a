"""The global feature of an image: an average over positions, or the Global Attention Feature.

N images, C channels, H height, W width, P = H * W positions, A attention heads.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from fedzda.base import UserError
from fedzda.vision.gsanet.config import Attention
from fedzda.vision.gsanet.layers import Norm, convolution
from fedzda.vision.gsanet.sparsemax import entmax15, softmax, sparsemax, support

_WEIGHTS = {"softmax": softmax, "sparsemax": sparsemax, "entmax15": entmax15}


class PositionWeights(nn.Module):
    """Scores ``(N, A, P)`` to weights that sum to 1 over positions.

    Args:
        attention: ``softmax``, ``sparsemax`` or ``entmax15``.
        heads: A, the maps that have a factor of their own.
        learn_temperature: Learn a factor on the scores of each head.
    """

    keep_float = True
    """A quantized model keeps it: a hundredth more or less of a score moves the whole support."""

    def __init__(self, attention: Attention, heads: int, learn_temperature: bool) -> None:
        super().__init__()
        self.attention = attention
        self.log_factor = nn.Parameter(torch.zeros(heads, 1)) if learn_temperature else None

    def forward(self, scores_NAP: torch.Tensor) -> torch.Tensor:
        """Weights ``(N, A, P)`` in [0, 1]."""
        if self.log_factor is not None:
            scores_NAP = scores_NAP * self.log_factor.exp()
        return _WEIGHTS[self.attention](scores_NAP)


class GlobalAttention(nn.Module):
    """Global Attention Feature: a weighted sum of all positions, projected and shown everywhere.

    Args:
        before: Channels of the map, a multiple of ``heads``.
        after: Channels of the feature.
        attention: ``softmax``, ``sparsemax`` or ``entmax15``.
        norm: Normalisation of the feature.
        heads: Attention maps; each pools its own share of the channels.
        std: Standard deviation of the initial score weights.
        learn_temperature: Learn a factor on the scores of each head.

    Raises:
        UserError: ``before`` is no multiple of ``heads``.
    """

    def __init__(
        self,
        before: int,
        after: int,
        attention: Attention,
        norm: Norm,
        heads: int = 1,
        std: float = 0.01,
        learn_temperature: bool = False,
    ) -> None:
        super().__init__()
        if before % heads:
            raise UserError(
                f"model.heads is {heads}, but the feature map has {before} channels: it must "
                f"divide them. Choose one of: "
                f"{', '.join(str(n) for n in range(1, 17) if before % n == 0)}."
            )
        self.heads, self.std = heads, std
        # A constant on all scores changes no weight, so there is no bias.
        self.score = nn.Conv2d(before, heads, 1, bias=False)
        self.weights = PositionWeights(attention, heads, learn_temperature)
        self.project = convolution(before, after, 1, norm)

    def initialise(self) -> None:
        """Scores close to 0: at first the attention is wide."""
        nn.init.normal_(self.score.weight, std=self.std)

    def forward(self, x_NCHW: torch.Tensor) -> torch.Tensor:
        """``(N, before, H, W)`` to ``(N, after, H, W)``, equal at all positions."""
        n, c, h, w = x_NCHW.shape
        weights_NAP1 = self.weights(self.score(x_NCHW).flatten(2)).unsqueeze(-1)
        values = x_NCHW.reshape(n, self.heads, c // self.heads, h * w)
        pooled = (values @ weights_NAP1).reshape(n, c, 1, 1)
        feature: torch.Tensor = self.project(pooled)
        return feature.expand(-1, -1, h, w)


class AveragePool(nn.Module):
    """The image-level feature of DeepLabv3: the mean over positions, projected."""

    def __init__(self, before: int, after: int, norm: Norm) -> None:
        super().__init__()
        self.project = convolution(before, after, 1, norm)

    def forward(self, x_NCHW: torch.Tensor) -> torch.Tensor:
        """``(N, before, H, W)`` to ``(N, after, H, W)``, equal at all positions."""
        feature: torch.Tensor = self.project(x_NCHW.mean(dim=(2, 3), keepdim=True))
        return feature.expand(-1, -1, x_NCHW.shape[2], x_NCHW.shape[3])


@contextmanager
def attended_positions(model: nn.Module) -> Iterator[list[torch.Tensor]]:
    """Collects, for every forward pass inside, how many positions each image attends to.

    Yields:
        A list that grows by ``(N,)`` float per attention layer and pass: the mean over heads of
        the number of positions with a weight above zero.
    """
    found: list[torch.Tensor] = []

    def note(_: nn.Module, __: Any, weights_NAP: torch.Tensor) -> None:
        found.append(support(weights_NAP.detach()).float().mean(dim=1))

    layers = [module for module in model.modules() if isinstance(module, PositionWeights)]
    hooks = [layer.register_forward_hook(note) for layer in layers]
    try:
        yield found
    finally:
        for hook in hooks:
            hook.remove()
