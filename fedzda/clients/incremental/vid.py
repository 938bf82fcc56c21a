"""Variational information distillation (VID): Ahn et al., CVPR 2019, arXiv 1904.05835.

The mutual information of a teacher's and a student's maps is at least ``H(t) + E log q(t | s)``;
with a Gaussian q whose mean is a small network of the student's map and whose variance belongs to
the channel, raising the bound is lowering :meth:`VID.loss`. It may be negative.
"""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional

_EPS = 1e-5
_INITIAL = 5.0


class VID(nn.Module):
    """The regressor of one teacher's map from one student's map.

    Args:
        student_channels: Channels of the student's map.
        teacher_channels: Channels of the teacher's map.
        mid_channels: Of the hidden layers; None: as the teacher.
        mse: A plain squared error instead (a control), with the same regressor.
    """

    def __init__(
        self,
        student_channels: int,
        teacher_channels: int,
        mid_channels: int | None = None,
        mse: bool = False,
    ) -> None:
        super().__init__()
        mid = mid_channels or teacher_channels
        self.regressor = nn.Sequential(
            nn.Conv2d(student_channels, mid, 1, bias=False),
            nn.ReLU(),
            nn.Conv2d(mid, mid, 1, bias=False),
            nn.ReLU(),
            nn.Conv2d(mid, teacher_channels, 1, bias=False),
        )
        raw = math.log(math.exp(_INITIAL - _EPS) - 1.0)
        self.raw_variance = nn.Parameter(torch.full((teacher_channels,), raw))
        self.mse = mse

    @property
    def variance(self) -> torch.Tensor:
        """``(C,)``, positive."""
        return functional.softplus(self.raw_variance) + _EPS

    def loss(self, student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
        """``0.5 * ((m(s) - t)^2 / var + log var)``, mean over samples, channels and places.

        Args:
            student: ``(N, C, H, W)`` or ``(N, C)``.
            teacher: The same with the teacher's channels; no gradient goes to it. The larger map is
                averaged down to the smaller one.
        """
        student, teacher = _as_map(student), _as_map(teacher.detach())
        size = min(student.shape[-2:], teacher.shape[-2:])
        student, teacher = (_pooled(each, size) for each in (student, teacher))
        residual = (self.regressor(student) - teacher).square()
        if self.mse:
            error: torch.Tensor = residual.mean()
            return error
        return gaussian_nll(residual, self.variance)


def gaussian_nll(residual_NCHW: torch.Tensor, variance_C: torch.Tensor) -> torch.Tensor:
    """Mean of ``0.5 * (residual / variance + log variance)`` for squared residuals."""
    variance = variance_C.view(1, -1, 1, 1)
    return (0.5 * (residual_NCHW / variance + variance.log())).mean()


def _as_map(x: torch.Tensor) -> torch.Tensor:
    return x if x.dim() == 4 else x[:, :, None, None]


def _pooled(x_NCHW: torch.Tensor, size: tuple[int, ...]) -> torch.Tensor:
    if tuple(x_NCHW.shape[-2:]) == tuple(size):
        return x_NCHW
    return functional.adaptive_avg_pool2d(x_NCHW, (size[0], size[1]))
