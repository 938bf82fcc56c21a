"""Terms that several synthesizers share. Logits are ``(N, C)``; results are scalars in nats."""

from __future__ import annotations

import torch
from torch.nn import functional

_SMALLEST = 1e-12
_CLAMP = 0.01


def kl_divergence(
    teacher_NC: torch.Tensor, student_NC: torch.Tensor, temperature: float = 1.0
) -> torch.Tensor:
    """Mean over the batch of ``KL(t || s)``, times the square of the temperature."""
    log_t = functional.log_softmax(teacher_NC / temperature, dim=1)
    log_s = functional.log_softmax(student_NC / temperature, dim=1)
    return temperature**2 * (log_t.exp() * (log_t - log_s)).sum(dim=1).mean()


def js_divergence(
    first_NC: torch.Tensor, second_NC: torch.Tensor, temperature: float
) -> torch.Tensor:
    """Mean over the batch of the Jensen-Shannon divergence, at most log 2.

    Probabilities are clamped to [0.01, 0.99] as DeepInversion does (arXiv 1912.08795).
    """
    p = (first_NC / temperature).softmax(dim=1).clamp(_CLAMP, 1 - _CLAMP)
    q = (second_NC / temperature).softmax(dim=1).clamp(_CLAMP, 1 - _CLAMP)
    middle = ((p + q) / 2).log()
    both = p * (p.log() - middle) + q * (q.log() - middle)
    return both.sum(dim=1).mean() / 2


def instance_entropy(logits_NC: torch.Tensor) -> torch.Tensor:
    """Mean over images of the entropy of their prediction: 0 where every one is certain."""
    log_p = functional.log_softmax(logits_NC, dim=1)
    return -(log_p.exp() * log_p).sum(dim=1).mean()


def batch_entropy(logits_NC: torch.Tensor) -> torch.Tensor:
    """Entropy of the batch's mean prediction: log C where all classes are seen equally often."""
    mean_p = logits_NC.softmax(dim=1).mean(dim=0).clamp(min=_SMALLEST)  # 0 log 0 would be NaN
    return -(mean_p * mean_p.log()).sum()


def mode_seeking(pixels_NCHW: torch.Tensor, z_ND: torch.Tensor) -> torch.Tensor:
    """Mean pixel difference of pairs (row n and row n + N/2) over that of their noise.

    Mao et al. 2019, arXiv 1903.05628.
    """
    first, second = pixels_NCHW.chunk(2)
    z_first, z_second = z_ND.chunk(2)
    return (first - second).abs().mean() / (z_first - z_second).abs().mean()


def image_norm(x_NCHW: torch.Tensor) -> torch.Tensor:
    """Mean over images of their Euclidean norm."""
    norms: torch.Tensor = torch.linalg.vector_norm(x_NCHW.flatten(1), dim=1)
    return norms.mean()


def total_variation(x_NCHW: torch.Tensor) -> torch.Tensor:
    """Sum of the norms of all differences to the right, lower and two diagonal neighbours."""
    differences = (
        x_NCHW[:, :, :, 1:] - x_NCHW[:, :, :, :-1],
        x_NCHW[:, :, 1:] - x_NCHW[:, :, :-1],
        x_NCHW[:, :, 1:, 1:] - x_NCHW[:, :, :-1, :-1],
        x_NCHW[:, :, 1:, :-1] - x_NCHW[:, :, :-1, 1:],
    )
    return torch.stack([torch.linalg.vector_norm(d) for d in differences]).sum()
