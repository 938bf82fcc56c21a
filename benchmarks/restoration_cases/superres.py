"""Super-resolution x4 with at most 101,000 parameters: BSDS500 train, tested on Set5."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from fedzda.base import torch_rng
from fedzda.vision.metrics.colour import luma
from fedzda.vision.metrics.psnr import psnr
from fedzda.vision.metrics.ssim import ssim
from fedzda.vision.restoration.config import (
    IMDNConfig,
    RRDBNetConfig,
    SRResidualConfig,
    UpscalerConfig,
)
from fedzda.vision.restoration.ensemble import restore
from fedzda.vision.restoration.imresize import imresize, rounded
from fedzda.vision.restoration.networks import build
from fedzda.vision.restoration.patches import patches
from fedzda.vision.restoration.training import Batch, TrainingConfig
from restoration_cases import data
from restoration_cases.study import Cell

SCALE = 4
PATCH, BATCH = 24, 16
PICTURED = 2

ARMS: dict[str, UpscalerConfig] = {
    "sr-residual": SRResidualConfig(),
    "imdn": IMDNConfig(),
    "rrdb-net": RRDBNetConfig(),
}


def shrunk(image: torch.Tensor) -> torch.Tensor:
    """A quarter of the size, 8 bits."""
    return rounded(imresize(image.unsqueeze(0), 1 / SCALE))[0]


def cell(arm: str, seed: int, steps: int, device: str) -> Cell:
    """One network; small patches of 24 pixels, large ones of 96."""
    large = [data.cropped(image, SCALE) for image in data.bsds("train")]
    scenes = [(shrunk(image), image) for image in large]

    def batch(step: int) -> Batch:
        small, truth = patches(scenes, BATCH, PATCH, torch_rng(seed, "sr", step))
        return small, truth

    notes: dict[str, Any] = {"patch": PATCH * SCALE, "batch": BATCH}
    notes["config"] = ARMS[arm].model_dump()
    training = TrainingConfig(steps=steps, checkpoint_every=500)
    return Cell(
        lambda: build(ARMS[arm], 3),
        batch,
        lambda network, quick: test(network, device),
        training,
        lambda network: picture(network, device),
        notes,
    )


@torch.no_grad()
def picture(network: nn.Module, device: str) -> list[torch.Tensor]:
    """Bicubic, enlarged and true crop of one image of Set5."""
    truth = data.cropped(data.set5()[PICTURED], SCALE)
    small = shrunk(truth).unsqueeze(0)
    images = (imresize(small, float(SCALE)), restore(network, small.to(device)).cpu())
    return [image[:, 60:220, 60:220] for image in (*(i[0] for i in images), truth)]


@torch.no_grad()
def test(network: nn.Module, device: str) -> dict[str, float]:
    """Y of Set5, 8 bits, border of 4."""
    levels, likeness = [], []
    for image in data.set5():
        truth = data.cropped(image, SCALE)
        small = shrunk(truth).unsqueeze(0).to(device)
        result = luma(rounded(restore(network, small).cpu()).double())
        wanted = luma(truth.unsqueeze(0).double())
        levels.append(psnr(result, wanted, SCALE).item())
        likeness.append(ssim(result, wanted, SCALE).item())
    return {"psnr_y": sum(levels) / len(levels), "ssim_y": sum(likeness) / len(likeness)}
