"""Normalisation layers that the built-in models share."""

from __future__ import annotations

import math

import torch
from torch import nn

from fedzda.base import UserError
from fedzda.clients.models.config import Norm

_MAX_GROUPS = 8
_GROUP_OF_VECTOR = 4
"""Fewest numbers in a group of a vector: one alone is always normalised to 0, of two only the order
is left."""


class BatchNorm1d(nn.BatchNorm1d):
    """BatchNorm of ``(N, C)`` that survives a batch of one sample.

    PyTorch refuses such a batch in training because its variance is undefined. A client with one
    sample (or one left over in its last batch) is normal in federated learning: the running
    statistics normalise it, and are left unchanged.
    """

    def forward(self, x_NC: torch.Tensor) -> torch.Tensor:
        """Normalise ``(N, C)``."""
        if self.training and x_NC.shape[0] == 1:
            return _with_running_statistics(self, x_NC)
        return super().forward(x_NC)


class BatchNorm2d(nn.BatchNorm2d):
    """BatchNorm of ``(N, C, H, W)`` that survives a single value per channel, as BatchNorm1d."""

    def forward(self, x_NCHW: torch.Tensor) -> torch.Tensor:
        """Normalise ``(N, C, H, W)``."""
        if self.training and x_NCHW.numel() == x_NCHW.shape[1]:
            return _with_running_statistics(self, x_NCHW)
        return super().forward(x_NCHW)


def _with_running_statistics(
    layer: nn.BatchNorm1d | nn.BatchNorm2d, x: torch.Tensor
) -> torch.Tensor:
    return nn.functional.batch_norm(
        x, layer.running_mean, layer.running_var, layer.weight, layer.bias, False, 0.0, layer.eps
    )


def norm_2d(kind: Norm, channels: int) -> nn.Module:
    """The normalisation of a feature map ``(N, C, H, W)``.

    GroupNorm has 8 groups, or the largest power of two below 8 that divides the channels.
    """
    if kind == "batch":
        return BatchNorm2d(channels)
    if kind == "group":
        return nn.GroupNorm(math.gcd(_MAX_GROUPS, channels), channels)
    return nn.Identity()


def norm_1d(kind: Norm, features: int) -> nn.Module:
    """The normalisation of a feature vector ``(N, C)``.

    GroupNorm has at most as many groups as in :func:`norm_2d`, of at least 4 numbers each, and
    otherwise one.

    Raises:
        UserError: GroupNorm of a single number.
    """
    if kind == "batch":
        return BatchNorm1d(features)
    if kind == "none":
        return nn.Identity()
    if features < 2:
        raise UserError(
            "model.norm is 'group', which leaves nothing of a layer with one unit (got 1). Give "
            "the layer more units, or choose norm 'batch' or 'none'."
        )
    groups = math.gcd(_MAX_GROUPS, features)
    while groups > 1 and features // groups < _GROUP_OF_VECTOR:
        groups //= 2
    return nn.GroupNorm(groups, features)
