"""Narrower layers: the same kind with the channels that are kept."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm

from fedzda.clients.models.resnet import PadShortcut


class NarrowConv2d(nn.Conv2d):
    """A convolution whose input counts ``factor`` times."""

    factor = 1.0

    def forward(self, x_NCHW: torch.Tensor) -> torch.Tensor:
        """As ``nn.Conv2d``."""
        return super().forward(x_NCHW if self.factor == 1.0 else x_NCHW * self.factor)


class NarrowLinear(nn.Linear):
    """A linear layer whose input counts ``factor`` times."""

    factor = 1.0

    def forward(self, x_NF: torch.Tensor) -> torch.Tensor:
        """As ``nn.Linear``."""
        return super().forward(x_NF if self.factor == 1.0 else x_NF * self.factor)


class PickedShortcut(nn.Module):
    """A :class:`PadShortcut` between channels that were kept on both sides.

    Args:
        stride: Every ``stride``-th pixel.
        source: For every channel of the output its channel in the input, or -1 for zeros.
    """

    def __init__(self, stride: int, source: torch.Tensor) -> None:
        super().__init__()
        self.stride = stride
        self.register_buffer("_source", source, persistent=False)

    def forward(self, x_NCHW: torch.Tensor) -> torch.Tensor:
        """``(N, C, H, W)`` to ``(N, len(source), ceil(H/stride), ceil(W/stride))``."""
        source: torch.Tensor = self._source  # type: ignore[assignment]
        x_NCHW = x_NCHW[:, :, :: self.stride, :: self.stride]
        with_zeros = functional.pad(x_NCHW, (0, 0, 0, 0, 0, 1))
        return with_zeros[:, source]  # -1 is the channel of zeros


def narrow(module: nn.Module, reads: torch.Tensor, gives: torch.Tensor, scale: bool) -> nn.Module:
    """``module`` for the features kept of those that it reads and gives.

    Args:
        module: A layer of a :class:`~fedzda.clients.variants.channels.Plan`.
        reads: ``(n,)`` numbers of the features kept of its input.
        gives: ``(m,)`` the same of its output.
        scale: Let inputs count as many times as there are inputs for each one kept.
    """
    if isinstance(module, nn.Conv2d):
        depthwise = module.groups > 1
        layer = NarrowConv2d(
            len(reads),
            len(gives),
            module.kernel_size,  # type: ignore[arg-type]
            module.stride,  # type: ignore[arg-type]
            module.padding,  # type: ignore[arg-type]
            module.dilation,  # type: ignore[arg-type]
            len(gives) if depthwise else 1,
            module.bias is not None,
            module.padding_mode,
        )
        layer.factor = module.in_channels / len(reads) if scale and not depthwise else 1.0
        return layer
    if isinstance(module, nn.Linear):
        linear = NarrowLinear(len(reads), len(gives), module.bias is not None)
        linear.factor = module.in_features / len(reads) if scale else 1.0
        return linear
    if isinstance(module, _BatchNorm):
        return type(module)(
            len(gives), module.eps, module.momentum, module.affine, module.track_running_stats
        )
    if isinstance(module, nn.GroupNorm):
        groups = _groups(module, len(gives))
        return nn.GroupNorm(groups, len(gives), module.eps, module.affine)
    assert isinstance(module, PadShortcut)
    return PickedShortcut(module.stride, _sources(module, reads, gives))


def _groups(module: nn.GroupNorm, channels: int) -> int:
    """Groups of the size they had, or the next larger size that divides ``channels``."""
    most = max(1, channels * module.num_groups // module.num_channels)
    return max(groups for groups in range(1, most + 1) if channels % groups == 0)


def _sources(module: PadShortcut, reads: torch.Tensor, gives: torch.Tensor) -> torch.Tensor:
    before = module.new_channels // 2
    place = {int(channel) + before: number for number, channel in enumerate(reads)}
    return torch.tensor([place.get(int(channel), -1) for channel in gives])
