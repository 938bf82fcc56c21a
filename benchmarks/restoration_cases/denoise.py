"""Colour denoising at sigma = 25 on CBSD68, trained on BSDS500 train; and MRDB against plain
dense blocks at equal parameters."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from fedzda.base import torch_rng
from fedzda.vision.metrics.psnr import psnr
from fedzda.vision.metrics.ssim import ssim
from fedzda.vision.restoration.config import (
    DenoiserConfig,
    DnCNNConfig,
    MCUNetConfig,
    MRDNConfig,
    NAFNetConfig,
)
from fedzda.vision.restoration.ensemble import restore
from fedzda.vision.restoration.networks import build
from fedzda.vision.restoration.noise import gaussian
from fedzda.vision.restoration.patches import patches
from fedzda.vision.restoration.training import Batch, TrainingConfig
from restoration_cases import data
from restoration_cases.study import Cell

SIGMA = 25 / 255
PATCH, BATCH = 64, 16
WINDOW = 96
QUICK = 6
PICTURED = 1

ARMS: dict[str, DenoiserConfig] = {
    "dncnn": DnCNNConfig(size="full"),
    "dncnn-he": DnCNNConfig(size="full", start="he"),
    "nafnet-w16": NAFNetConfig(pool_window=WINDOW),
    "mrdn-lite": MRDNConfig(pool_window=WINDOW),
    "rdn-lite": MRDNConfig(context_channels=0, growth=9, layers=4),
    "mcu-net-lite": MCUNetConfig(pool_window=WINDOW),
    "mcu-net": MCUNetConfig(size="full", pool_window=WINDOW),
}
"""``rdn-lite`` has no pyramid, and dense convolutions that give it 3 % more parameters than
``mrdn-lite``: 37,633 against 36,523. ``mcu-net`` is for a GPU."""


def cell(arm: str, seed: int, steps: int, device: str) -> Cell:
    """One network."""
    scenes = [(image,) for image in data.bsds("train")]

    def batch(step: int) -> Batch:
        rng = torch_rng(seed, "denoise", step)
        (clean,) = patches(scenes, BATCH, PATCH, rng)
        return gaussian(clean, SIGMA, rng), clean

    training = TrainingConfig(steps=steps)
    notes: dict[str, Any] = {"sigma": 25, "patch": PATCH, "batch": BATCH}
    notes["config"] = ARMS[arm].model_dump()
    return Cell(
        lambda: build(ARMS[arm], 3),
        batch,
        lambda network, quick: test(network, QUICK if quick else None, device),
        training,
        lambda network: picture(network, device),
        notes,
    )


@torch.no_grad()
def picture(network: nn.Module, device: str) -> list[torch.Tensor]:
    """Noisy, restored and true crop of one test image."""
    truth = data.cbsd68()[PICTURED].unsqueeze(0)
    noisy = gaussian(truth, SIGMA, torch_rng(0, "cbsd68", PICTURED))
    images = (noisy, restore(network, noisy.to(device)).cpu(), truth)
    return [image[0, :, 100:260, 120:280] for image in images]


@torch.no_grad()
def test(network: nn.Module, count: int | None, device: str) -> dict[str, float]:
    """Mean over images; noise is not clipped, results are."""
    levels, likeness = [], []
    for place, image in enumerate(data.cbsd68()[:count]):
        truth = image.unsqueeze(0)
        noisy = gaussian(truth, SIGMA, torch_rng(0, "cbsd68", place))
        result = restore(network, noisy.to(device)).cpu().clamp(0, 1)
        levels.append(psnr(result, truth).item())
        likeness.append(ssim(result, truth).item())
    return {"psnr": sum(levels) / len(levels), "ssim": sum(likeness) / len(likeness)}
