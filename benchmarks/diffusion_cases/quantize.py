"""Arms of the second study: the U-Net with few bits, at 100, 20 and 10 sampling steps."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from diffusion_cases.data import Data
from diffusion_cases.measure import against_real, made, noise_of, paired
from fedzda.base import torch_rng
from fedzda.compression.diffusion import (
    FRDiffConfig,
    TDQConfig,
    TDQTrainingConfig,
    calibrate_tdq,
    frdiff,
    freeze_tdq,
    prepare_tdq,
    sample,
    train_tdq,
    train_tdq_ptq,
)
from fedzda.compression.diffusion.sampling import add_noise, ddim_scheduler
from fedzda.compression.diffusion.tdq import stored_bits

BITS = ((8, 8), (6, 6), (4, 8), (4, 4))
"""Of weights and of activations."""
SAMPLED = (100, 20, 10)
_BINS = 10


@dataclass(frozen=True)
class Budget:
    """What every method gets.

    Attributes:
        passes: Forward passes of calibration, 64 images each.
        ptq: Fitting of activation steps.
        qat: Training of everything.
    """

    passes: int
    ptq: TDQTrainingConfig
    qat: TDQTrainingConfig


FULL = Budget(
    30,
    TDQTrainingConfig(steps=200, batch_size=32, lr=2e-3),
    TDQTrainingConfig(steps=400, batch_size=64, lr=2e-4, plain_factor=1.0, ema_decay=0.98),
)
FAST = Budget(
    1,
    TDQTrainingConfig(steps=2, batch_size=4),
    TDQTrainingConfig(steps=2, batch_size=4),
)


def arms(form: str) -> list[tuple[str, int, int]]:
    """Method and bits: all methods with 4 bits, the two that learn and static with more."""
    methods = ("tdq", "lsq", "static-mse", "static-min-max", "per-step", "dynamic")
    few = methods if form == "ptq" else ("tdq", "lsq", "per-step")
    many = ("tdq", "lsq", "static-mse") if form == "ptq" else ("tdq", "lsq")
    found = [(method, 4, 4) for method in few]
    return found + [(method, w, a) for w, a in BITS[:3] for method in many]


def quantized(
    unet: nn.Module, data: Data, form: str, arm: tuple[str, int, int], seed: int, budget: Budget
) -> nn.Module:
    """A copy of the U-Net, quantized; calibration and training see training images only."""
    method, weight_bits, activation_bits = arm
    net = copy.deepcopy(unet)
    device = next(net.parameters()).device
    rng = torch_rng(seed, "tdq")
    config = TDQConfig(
        method=method,  # type: ignore[arg-type]
        weight_bits=weight_bits,
        activation_bits=activation_bits,
        weight_start="mse",
        activation_start="mse",
    )
    images = data.image.normalize(data.train)
    torch.manual_seed(seed)
    prepare_tdq(net, config)
    calibrate_tdq(net, images, rng, passes=budget.passes)
    if form == "qat":
        train_tdq(net, images, budget.qat, rng)
    else:
        noise = torch.randn(32, *data.image.shape, generator=rng).to(device)
        train_tdq_ptq(net, noise, budget.ptq, rng)
    return net


@torch.no_grad()
def noise_errors(net: nn.Module, data: Data) -> list[float]:
    """Held-out mean squared error of the noise in ten bins of time steps."""
    device = next(net.parameters()).device
    images = data.image.normalize(data.test)
    rng = torch_rng(0, "tdq-held-out")
    errors = []
    for index in range(_BINS):
        t = torch.randint(100 * index, 100 * (index + 1), (len(images),), generator=rng)
        noise = torch.randn(images.shape, generator=rng)
        found = net(add_noise(images, noise, t).to(device), t.to(device)).sample.cpu()
        errors.append(float((found - noise).square().mean()))
    return errors


def cell(
    name: str,
    data: Data,
    unet: nn.Module,
    form: str,
    arm: tuple[str, int, int],
    seed: int,
    count: int,
    budget: Budget,
) -> dict[str, Any]:
    """One arm with one seed, at every number of sampling steps."""
    net = quantized(unet, data, form, arm, seed, budget)
    device = str(next(unet.parameters()).device)
    noise = noise_of(data, count, seed)
    found: dict[str, Any] = {
        "method": arm[0],
        "bits": list(arm[1:]),
        "seed": seed,
        "training": (budget.qat if form == "qat" else budget.ptq).steps,
        "noise_error": noise_errors(net, data),
        "steps": {},
    }
    for steps in SAMPLED:
        frozen = copy.deepcopy(net)
        freeze_tdq(frozen, ddim_scheduler(steps).timesteps)
        images = made(lambda x, n=frozen, s=steps: sample(n, x, s), noise, device)
        wanted = made(lambda x, s=steps: sample(unet, x, s), noise, device)
        found["steps"][str(steps)] = {
            **paired(images, wanted),
            **against_real(name, data, images),
        }
        found["kilobytes"] = stored_bits(frozen) / 8 / 1024
    return found


def both(
    name: str, data: Data, unet: nn.Module, bits: tuple[int, int], seed: int, options: Any
) -> dict[str, Any]:
    """FRDiff and TDQ together, 50 steps: quality of each alone and of both."""
    count, budget, wanted = options
    net = quantized(unet, data, "ptq", ("tdq", *bits), seed, budget)
    freeze_tdq(net, ddim_scheduler(50).timesteps)
    device = str(next(unet.parameters()).device)
    noise = noise_of(data, count, seed)
    found: dict[str, Any] = {"bits": list(bits), "seed": seed, "arms": {}}
    for label, model, config in (
        ("tdq", net, None),
        ("frdiff-2 + tdq", net, FRDiffConfig(num_inference_steps=50)),
        ("frdiff-3 + tdq", net, FRDiffConfig(interval=3, num_inference_steps=50)),
    ):
        if config is None:
            images = made(lambda x, m=model: sample(m, x, 50), noise, device)
        else:
            with frdiff(model, config):
                images = made(lambda x, m=model: sample(m, x, 50), noise, device)
        found["arms"][label] = {
            **paired(images, wanted[:count]),
            **against_real(name, data, images),
        }
    return found
