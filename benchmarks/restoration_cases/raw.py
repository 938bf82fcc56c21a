"""Noise permutation on raw mosaics: few scenes with one noisy shot each, equal steps."""

from __future__ import annotations

import torch
from torch import nn

from fedzda.base import torch_rng
from fedzda.vision.metrics.psnr import psnr
from fedzda.vision.restoration.bayer import pack, unpack
from fedzda.vision.restoration.camera import random_camera, unprocess
from fedzda.vision.restoration.config import MRDNConfig
from fedzda.vision.restoration.ensemble import restore
from fedzda.vision.restoration.networks import build
from fedzda.vision.restoration.noise import poisson_gaussian
from fedzda.vision.restoration.patches import patches
from fedzda.vision.restoration.permutation import permute_noise
from fedzda.vision.restoration.training import Batch, TrainingConfig
from restoration_cases import data
from restoration_cases.study import Cell

SHOT, READ = 0.01, 5e-4
SCENES, TESTS, QUICK = 8, 40, 8
PATCH, BATCH, BIN = 128, 8, 128

ARMS = {"same-noise": False, "permuted": True}


def mosaics(split: str, count: int, purpose: str) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Noisy and clean mosaics ``(1, H, W)`` of photographs; one camera, one noisy shot each."""
    camera, pairs = random_camera(torch_rng(0, "raw-camera")), []
    for place, image in enumerate(data.bsds(split)[:count]):
        clean = unprocess(data.cropped(image, 8).unsqueeze(0), camera)
        noisy = poisson_gaussian(clean, SHOT, READ, torch_rng(0, purpose, place))
        pairs.append((noisy[0], clean[0]))
    return pairs


def cell(arm: str, seed: int, steps: int, device: str) -> Cell:
    """MRDN-lite on four packed planes."""
    scenes = mosaics("train", SCENES, "raw-train")
    tests = mosaics("test", TESTS, "raw-test")

    def batch(step: int) -> Batch:
        rng = torch_rng(seed, "raw", step)
        noisy, clean = patches(scenes, BATCH, PATCH, rng, flips=False, step=2)
        if ARMS[arm]:
            noisy = permute_noise(noisy, clean, BIN, rng)
        return pack(noisy), pack(clean)

    @torch.no_grad()
    def test(network: nn.Module, quick: bool) -> dict[str, float]:
        levels = []
        for noisy, clean in tests[: QUICK if quick else None]:
            result = restore(network, pack(noisy.unsqueeze(0)).to(device)).cpu()
            levels.append(psnr(unpack(result.clamp(0, 1)), clean.unsqueeze(0)).item())
        return {"psnr": sum(levels) / len(levels)}

    notes = {"shot": SHOT, "read": READ, "scenes": SCENES, "patch": PATCH, "batch": BATCH}
    config = MRDNConfig(pool_window=PATCH)
    return Cell(lambda: build(config, 4), batch, test, TrainingConfig(steps=steps), notes=notes)
