"""Noise of sensors: Gaussian, and Poisson-Gaussian from shot and read parameters.

On linear raw values x in [0, 1] the variance is ``shot * x + read`` (the NoiseProfile of DNG); both
are variances, not standard deviations. Nothing is clipped here: clip afterwards where the camera
would.
"""

from __future__ import annotations

import math

import torch


def variance(clean_NCHW: torch.Tensor, shot: float, read: float) -> torch.Tensor:
    """Variance of every pixel's noise."""
    return shot * clean_NCHW.clamp(min=0) + read


def poisson_gaussian(
    clean_NCHW: torch.Tensor, shot: float, read: float, rng: torch.Generator
) -> torch.Tensor:
    """Pixels with noise of :func:`variance`, in its Gaussian approximation."""
    deviation = variance(clean_NCHW, shot, read).sqrt()
    return clean_NCHW + deviation * normal(clean_NCHW, rng)


def gaussian(clean_NCHW: torch.Tensor, sigma: float, rng: torch.Generator) -> torch.Tensor:
    """Pixels with independent noise of standard deviation ``sigma`` (of pixels in [0, 1])."""
    return clean_NCHW + sigma * normal(clean_NCHW, rng)


def normal(like: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
    """Standard normal numbers of a tensor's shape, drawn on the CPU: the same on every device."""
    return torch.randn(like.shape, generator=rng).to(like)


def noise_map(noisy_NCHW: torch.Tensor, shot: float, read: float) -> torch.Tensor:
    """Standard deviation of every pixel's noise as far as a noisy image tells it.

    The second half of the input of a denoiser with ``noise_map``; ``shot=0, read=sigma**2`` for
    noise of one sigma.
    """
    return variance(noisy_NCHW, shot, read).sqrt()


def random_shot_read(
    rng: torch.Generator, shot: tuple[float, float] = (1e-4, 0.012)
) -> tuple[float, float]:
    """Shot and read variances of a random real camera (Brooks et al. 2019, section 3.1).

    log shot is uniform from log 1e-4 to log 0.012, log read normal around 2.18 log shot + 1.20 with
    standard deviation 0.26.

    Args:
        rng: A CPU generator.
        shot: Smallest and largest shot variance; left out: the paper's.
    """
    low, high = (math.log(end) for end in shot)
    log_shot = low + (high - low) * torch.rand(1, generator=rng).item()
    log_read = 2.18 * log_shot + 1.20 + 0.26 * torch.randn(1, generator=rng).item()
    return math.exp(log_shot), math.exp(log_read)


def identity_psnr(clean_NCHW: torch.Tensor, shot: float, read: float) -> float:
    """PSNR in dB expected of the noisy image itself, before clipping."""
    return -10 * math.log10(variance(clean_NCHW.double(), shot, read).mean().item())
