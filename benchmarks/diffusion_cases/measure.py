"""What is measured: images of one noise against the full sampler's, and sets against real ones."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import nn

from diffusion_cases.data import Data
from fedzda.base import fingerprint, numpy_rng, torch_rng
from fedzda.clients.tasks.diffusion_judge import compare_sets, train_judge

BATCH = 250
PAIRED = 1000
"""Images of the paired error."""
_RESAMPLED = 1000

Sampler = Callable[[torch.Tensor], torch.Tensor]
"""Noise ``(N, C, H, W)`` to images in about [-1, 1]."""


def noise_of(data: Data, count: int, seed: int) -> torch.Tensor:
    """The noise of one sampling seed; the same for all arms."""
    return torch.randn(count, *data.image.shape, generator=torch_rng(seed, "diffusion-noise"))


@torch.no_grad()
def made(sampler: Sampler, noise_NCHW: torch.Tensor, device: str) -> torch.Tensor:
    """Images in [0, 1], on the CPU, in batches."""
    parts = [sampler(part.to(device)).cpu() for part in torch.split(noise_NCHW, BATCH)]
    return (torch.cat(parts) / 2 + 0.5).clamp(0, 1)


@lru_cache(maxsize=4)
def judges(data_name: str, seed: int) -> nn.Module:
    """A classifier of real images; made once per process."""
    from diffusion_cases.data import load_data

    data = load_data(data_name)
    return train_judge(data.train, data.train_labels, data.image, seed)


def paired(images: torch.Tensor, wanted: torch.Tensor) -> dict[str, float]:
    """Root mean squared error per pixel in [0, 1] and PSNR in dB, with a bootstrap interval."""
    squares = (images[:PAIRED] - wanted[:PAIRED]).double().square().flatten(1).mean(1).numpy()
    rng = numpy_rng(0, "bootstrap")
    drawn = rng.integers(len(squares), size=(_RESAMPLED, len(squares)))
    low, high = np.quantile(np.sqrt(squares[drawn].mean(1)), [0.025, 0.975])
    error = float(np.sqrt(squares.mean()))
    psnr = float(-20 * np.log10(max(error, 1e-12)))
    return {"rmse": error, "rmse_low": float(low), "rmse_high": float(high), "psnr": psnr}


def against_real(name: str, data: Data, images: torch.Tensor) -> dict[str, Any]:
    """Distances to the training images, by two judges."""
    first = compare_sets(judges(name, 0), data.train, images, data.image)
    second = compare_sets(judges(name, 1), data.train, images, data.image)
    return {**first, "frechet_judge_2": second["frechet"], "images": len(images)}


def floor(name: str, data: Data) -> dict[str, Any]:
    """Distances between held-out and training images, and the judges themselves."""
    found = against_real(name, data, data.test)
    for seed in (0, 1):
        judge = judges(name, seed)
        logits = judge(data.image.normalize(data.test))
        found[f"judge_{seed}_accuracy"] = float(
            (logits.argmax(1) == data.test_labels).float().mean()
        )
        found[f"judge_{seed}"] = fingerprint(judge.state_dict())
    return found
