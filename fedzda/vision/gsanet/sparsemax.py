"""Sparse probabilities over positions: sparsemax and entmax-1.5, along the last axis.

Martins & Astudillo 2016 (arXiv 1602.02068) and Peters, Niculae & Martins 2019 (arXiv 1905.05702).
Both sort, so they cost O(P log P) for P positions: use them at output stride 8 or 16.

P: positions.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch


def sparsemax(scores_P: torch.Tensor) -> torch.Tensor:
    """The Euclidean projection of scores ``(…, P)`` on the probability simplex (equation 2).

    Half-precision scores are projected in float32. Adding a constant to all scores changes nothing.

    >>> sparsemax(torch.tensor([-2.0, 0.0, 0.5]))
    tensor([0.0000, 0.2500, 0.7500])
    """
    return _apply(_Sparsemax, _project, scores_P)


def entmax15(scores_P: torch.Tensor) -> torch.Tensor:
    """1.5-entmax of scores ``(…, P)``: between softmax and sparsemax in how many it keeps."""
    return _apply(_Entmax15, _entmax15, scores_P)


def softmax(scores_P: torch.Tensor) -> torch.Tensor:
    """Softmax of scores ``(…, P)``: keeps every position."""
    return torch.softmax(scores_P, dim=-1)


def support(weights_P: torch.Tensor) -> torch.Tensor:
    """How many positions have a weight above zero, ``(…)`` int64."""
    return (weights_P > 0).sum(dim=-1)


def _apply(
    function: Any, values: Callable[[torch.Tensor], torch.Tensor], scores: torch.Tensor
) -> torch.Tensor:
    """The function with its own backward pass; plain operations where no gradient is asked for."""
    wide = scores.float() if scores.dtype in (torch.float16, torch.bfloat16) else scores
    needs_gradient = torch.is_grad_enabled() and wide.requires_grad
    found: torch.Tensor = function.apply(wide) if needs_gradient else values(wide)
    return found.to(scores.dtype)


def _ranks(scores_P: torch.Tensor) -> torch.Tensor:
    return torch.arange(1, scores_P.shape[-1] + 1, device=scores_P.device, dtype=scores_P.dtype)


def _project(scores_P: torch.Tensor) -> torch.Tensor:
    scores_P = scores_P - scores_P.amax(dim=-1, keepdim=True)
    sorted_P = scores_P.sort(dim=-1, descending=True).values
    excess_P = sorted_P.cumsum(dim=-1) - 1.0
    kept = (_ranks(scores_P) * sorted_P > excess_P).sum(dim=-1, keepdim=True)
    kept = kept.clamp(min=1)  # scores that are not finite give NaN, as in softmax
    threshold = excess_P.gather(-1, kept - 1) / kept.to(scores_P.dtype)
    return (scores_P - threshold).clamp(min=0.0)


def _entmax15(scores_P: torch.Tensor) -> torch.Tensor:
    """Weights ``max(z / 2 - τ, 0) ** 2``; τ solves a quadratic for every size of the support."""
    scores_P = (scores_P - scores_P.amax(dim=-1, keepdim=True)) / 2.0
    sorted_P = scores_P.sort(dim=-1, descending=True).values
    ranks = _ranks(scores_P)
    mean_P = sorted_P.cumsum(dim=-1) / ranks
    spread_P = ranks * ((sorted_P**2).cumsum(dim=-1) / ranks - mean_P**2)
    threshold_P = mean_P - ((1.0 - spread_P) / ranks).clamp(min=0.0).sqrt()
    kept = (threshold_P <= sorted_P).sum(dim=-1, keepdim=True).clamp(min=1)
    threshold = threshold_P.gather(-1, kept - 1)
    return (scores_P - threshold).clamp(min=0.0) ** 2


def _less_mean(gradient_P: torch.Tensor, mass_P: torch.Tensor) -> torch.Tensor:
    """The gradient less its mean over positions, each weighed by its mass."""
    gradient_P = gradient_P * mass_P
    mean = gradient_P.sum(dim=-1, keepdim=True) / mass_P.sum(dim=-1, keepdim=True)
    return gradient_P - mean * mass_P


class _Sparsemax(torch.autograd.Function):
    """On the support, the gradient less its mean there; 0 elsewhere."""

    @staticmethod
    def forward(ctx: Any, scores_P: torch.Tensor) -> torch.Tensor:
        weights_P = _project(scores_P)
        ctx.save_for_backward(weights_P)
        return weights_P

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> torch.Tensor:
        weights_P: torch.Tensor = ctx.saved_tensors[0]
        return _less_mean(gradients[0], (weights_P > 0).to(weights_P.dtype))


class _Entmax15(torch.autograd.Function):
    """As sparsemax, with every position of the support weighed by the root of its weight."""

    @staticmethod
    def forward(ctx: Any, scores_P: torch.Tensor) -> torch.Tensor:
        weights_P = _entmax15(scores_P)
        ctx.save_for_backward(weights_P)
        return weights_P

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> torch.Tensor:
        weights_P: torch.Tensor = ctx.saved_tensors[0]
        return _less_mean(gradients[0], weights_P.sqrt())
