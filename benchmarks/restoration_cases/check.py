"""Figures of the protocol that need no training, beside the expected ones."""

from __future__ import annotations

import torch

from fedzda.base import torch_rng
from fedzda.vision.metrics.colour import luma
from fedzda.vision.metrics.psnr import psnr
from fedzda.vision.metrics.ssim import ssim
from fedzda.vision.restoration.imresize import imresize, rounded
from fedzda.vision.restoration.noise import gaussian
from fedzda.vision.restoration.noise_pool import flat_patches
from restoration_cases import data

Line = tuple[str, float, float, float]
"""What, found, expected, tolerance."""


def bicubic(scale: int) -> tuple[float, float]:
    """PSNR (dB) and SSIM on Y of Set5, 8 bits at every stage, border of ``scale``."""
    scores = []
    for image in data.set5():
        truth = rounded(luma(data.cropped(image, scale).unsqueeze(0).double()))
        small = rounded(imresize(truth, 1 / scale))
        large = rounded(imresize(small, float(scale)))
        scores.append((psnr(large, truth, scale).item(), ssim(large, truth, scale).item()))
    return mean([p for p, _ in scores]), mean([s for _, s in scores])


def mean(values: list[float]) -> float:
    """Arithmetic mean."""
    return sum(values) / len(values)


def lines() -> list[Line]:
    """Every check."""
    found: list[Line] = []
    for scale, dB, similarity in ((2, 33.65, 0.9296), (3, 30.39, 0.8681), (4, 28.42, 0.8104)):
        measured = bicubic(scale)
        found.append((f"Set5 bicubic x{scale}, PSNR (dB)", measured[0], dB, 0.02))
        found.append((f"Set5 bicubic x{scale}, SSIM", measured[1], similarity, 0.001))
    sigma = 25 / 255
    noisy = [
        psnr(gaussian(image, sigma, torch_rng(0, "check", place)).unsqueeze(0), image.unsqueeze(0))
        for place, image in enumerate(data.cbsd68())
    ]
    found.append(
        ("CBSD68, noise of sigma 25, PSNR (dB)", torch.cat(noisy).mean().item(), 20.17, 0.02)
    )
    pairs = [(n.unsqueeze(0), c.unsqueeze(0)) for _, n, c in data.polyu()]
    found.append(("PolyU noisy, PSNR (dB)", mean([psnr(*p).item() for p in pairs]), 35.97, 0.02))
    found.append(("PolyU noisy, SSIM", mean([ssim(*p).item() for p in pairs]), 0.9130, 0.005))
    for camera, patches in zip(data.CAMERAS, (1345, 1240, 1550, 2352, 2723), strict=True):
        noisy = [n for name, n, _ in data.polyu() if name == camera]
        count = len(flat_patches(noisy, 32))
        found.append((f"PolyU {camera}, flat patches of 32 pixels", count, patches, 0.02 * patches))
    return found


def check() -> bool:
    """Print every figure; whether all are as expected."""
    good = True
    for name, found, expected, tolerance in lines():
        fits = abs(found - expected) <= tolerance
        good = good and fits
        verdict = "" if fits else f"  <-- expected within {tolerance:g}"
        print(f"{name:45s} {found:10.4f}  expected {expected:10.4f}{verdict}", flush=True)
    return good
