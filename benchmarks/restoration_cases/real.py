"""Real-world super-resolution of five cameras: does the estimated degradation beat bicubic?

A camera has a blur of its own (known to this file alone) and the noise of its PolyU photographs.
It sees 40 photographs of BSDS500 train, small and degraded. Clean photographs to train on are
other ones of train. Tested on degraded photographs of BSDS500 test, PSNR against the originals.
"""

from __future__ import annotations

import torch
from torch import nn

from fedzda.base import torch_rng
from fedzda.vision.metrics.psnr import psnr
from fedzda.vision.restoration.config import SRResidualConfig
from fedzda.vision.restoration.ensemble import restore
from fedzda.vision.restoration.kernel_estimation import Estimate, estimate_blur, power_spectrum
from fedzda.vision.restoration.kernels import GaussianBlur
from fedzda.vision.restoration.networks import build
from fedzda.vision.restoration.noise_pool import flat_patches
from fedzda.vision.restoration.patches import patches
from fedzda.vision.restoration.real_world import EstimatedDegradation
from fedzda.vision.restoration.training import Batch, TrainingConfig
from restoration_cases import data
from restoration_cases.study import Cell

SCALE, SIDE = 4, 24
PATCH, BATCH = 24, 16
TESTS, QUICK = 30, 5
OWN = 40
SMALL_NOISE_SIDE = 16

BLURS = {
    "Canon600D": GaussianBlur(1.6, 1.6, 0.0),
    "Sony": GaussianBlur(2.8, 1.2, 0.5),
    "Canon80D": GaussianBlur(2.2, 2.2, 0.0),
    "Canon5D2": GaussianBlur(3.2, 2.0, 2.2),
    "NikonD800": GaussianBlur(2.4, 1.4, 1.4),
}
RECIPES = ("bicubic", "estimated", "oracle")
ARMS = tuple(f"{camera}-{recipe}" for camera in BLURS for recipe in RECIPES)


def truth(camera: str) -> EstimatedDegradation:
    """What the camera really does."""
    noisy = [image for name, image, _ in data.polyu() if name == camera]
    return EstimatedDegradation(SCALE, [BLURS[camera]], flat_patches(noisy, 32), SIDE)


def own_images(camera: str) -> list[torch.Tensor]:
    """What the camera saw: small, blurred, noisy."""
    place, degrade = list(BLURS).index(camera), truth(camera)
    seen = data.bsds("train")[OWN * place : OWN * (place + 1)]
    return [
        degrade(data.cropped(image, SCALE), torch_rng(0, "seen", place, number))
        for number, image in enumerate(seen)
    ]


def clean_images(camera: str) -> list[torch.Tensor]:
    """Clean photographs of other scenes."""
    place, images = list(BLURS).index(camera), data.bsds("train")
    others = images[: OWN * place] + images[OWN * (place + 1) :]
    return [data.cropped(image, SCALE) for image in others]


def estimated(camera: str) -> tuple[EstimatedDegradation, Estimate]:
    """What the camera's images tell."""
    seen = own_images(camera)
    clean = power_spectrum(clean_images(camera), 32 * SCALE)
    found = estimate_blur(seen, clean, SCALE)
    pool = flat_patches(seen, SMALL_NOISE_SIDE)
    return EstimatedDegradation(SCALE, [found.blur], pool, SIDE), found


def cell(arm: str, seed: int, steps: int, device: str) -> Cell:
    """A small residual network for one camera and one recipe."""
    camera, _, recipe = arm.rpartition("-")
    notes: dict[str, object] = {"camera": camera, "recipe": recipe, "patch": PATCH * SCALE}
    degrade = EstimatedDegradation(SCALE)
    if recipe == "oracle":
        degrade = truth(camera)
    elif recipe == "estimated":
        degrade, found = estimated(camera)
        notes["estimate"] = [found.blur.wide, found.blur.narrow, found.blur.angle, found.noise]
    scenes = [(image,) for image in clean_images(camera)]

    def batch(step: int) -> Batch:
        rng = torch_rng(seed, "real", step)
        (large,) = patches(scenes, BATCH, PATCH * SCALE, rng)
        return torch.stack([degrade(image, rng) for image in large]), large

    real, images = truth(camera), [data.cropped(i, SCALE) for i in data.bsds("test")[:TESTS]]
    small = [real(image, torch_rng(0, "tests", place)) for place, image in enumerate(images)]

    @torch.no_grad()
    def test(network: nn.Module, quick: bool) -> dict[str, float]:
        levels = []
        for given, wanted in list(zip(small, images, strict=True))[: QUICK if quick else None]:
            result = restore(network, given.unsqueeze(0).to(device)).cpu().clamp(0, 1)
            levels.append(psnr(result, wanted.unsqueeze(0), SCALE).item())
        return {"psnr": sum(levels) / len(levels)}

    training = TrainingConfig(steps=steps, checkpoint_every=500)
    return Cell(lambda: build(SRResidualConfig(), 3), batch, test, training, notes=notes)


def print_estimates() -> None:
    """The blur of every camera beside the estimated one."""
    for camera, blur in BLURS.items():
        _, found = estimated(camera)
        print(
            f"{camera:10s} true {blur.wide:.2f} {blur.narrow:.2f} {blur.angle:.2f}   estimated "
            f"{found.blur.wide:.2f} {found.blur.narrow:.2f} {found.blur.angle:.2f}   noise "
            f"{255 * found.noise:.2f}/255   error {found.error:.3f}",
            flush=True,
        )
