"""Training of quantized denoisers: with images (QAT), or of activation steps alone (PTQ)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from fedzda.compression.diffusion.calls import tensor_of
from fedzda.compression.diffusion.config import TDQTrainingConfig
from fedzda.compression.diffusion.sampling import trajectory_points
from fedzda.compression.diffusion.tdq import (
    random_batch,
    refuse_frozen,
    require_calibrated,
    set_mode,
    state_of,
    tdq_layers,
)

Progress = Callable[[int, float], None]
"""Called with the number of a step and its loss."""


def tdq_param_groups(model: nn.Module, config: TDQTrainingConfig) -> list[dict[str, Any]]:
    """Groups for AdamW: weights and step networks; steps that are plain numbers."""
    plain = [
        parameter
        for name, parameter in model.named_parameters()
        if name.endswith(("weight_step.step", "source.step")) and parameter.requires_grad
    ]
    known = {id(parameter) for parameter in plain}
    rest = [p for p in model.parameters() if p.requires_grad and id(p) not in known]
    return [
        {"params": rest, "lr": config.lr, "weight_decay": config.weight_decay},
        {"params": plain, "lr": config.lr * config.plain_factor, "weight_decay": 0.0},
    ]


def train_tdq(
    model: nn.Module,
    images_NCHW: torch.Tensor,
    config: TDQTrainingConfig,
    rng: torch.Generator,
    progress: Progress | None = None,
) -> list[float]:
    """Train a calibrated model on the noise of images; returns the loss of every step.

    All weights are trained, whatever ``requires_grad`` was. The model is in eval mode afterwards.

    Args:
        model: Quantized and calibrated.
        images_NCHW: In about [-1, 1].
        config: Steps and step sizes.
        rng: CPU generator of images, time steps and noise; dropout uses torch's own.
        progress: Called after every step.

    Raises:
        UserError: The model is not calibrated, or frozen.
    """
    require_calibrated(model)
    refuse_frozen(model, "trained")
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(not _fixed(model, name))
    model.train()

    def loss() -> torch.Tensor:
        device = next(model.parameters()).device
        noisy, timesteps, noise = random_batch(images_NCHW, config.batch_size, rng)
        found = tensor_of(model(noisy.to(device), timesteps.to(device)))
        return nn.functional.mse_loss(found, noise.to(device))

    losses = _optimise(tdq_param_groups(model, config), loss, config, progress)
    model.eval()
    return losses


def train_tdq_ptq(
    model: nn.Module,
    noise_NCHW: torch.Tensor,
    config: TDQTrainingConfig,
    rng: torch.Generator,
    *,
    sampling_steps: int = 100,
    clip: bool = False,
    progress: Progress | None = None,
) -> list[float]:
    """Train the activation steps alone, without images; returns the loss of every step.

    The relative squared error of every quantized input is minimised on points of the float model's
    own DDIM trajectories, at all time steps. Weights stay as they are. Methods without learned
    steps have nothing to train and return an empty list.

    Args:
        model: Quantized and calibrated.
        noise_NCHW: Where the trajectories start.
        config: Steps and step sizes; plain steps learn at the full step size here.
        rng: CPU generator of time steps and batches.
        sampling_steps: Steps of the trajectories.
        clip: Clip predicted images to [-1, 1] on the way.
        progress: Called after every step.

    Raises:
        UserError: The model is not calibrated, or frozen.
    """
    require_calibrated(model)
    refuse_frozen(model, "trained")
    if state_of(model).config.method not in ("tdq", "lsq", "per-step"):
        return []
    model.eval()  # trajectories and activations without dropout
    layers = list(tdq_layers(model).values())
    learned = [p for layer in layers for p in layer.input_quantizer.source.parameters()]
    model.requires_grad_(False)
    set_mode(model, "float")
    points, timesteps = trajectory_points(model, noise_NCHW, sampling_steps, rng, clip)
    for parameter in learned:
        parameter.requires_grad_(True)
    for layer in layers:
        layer.input_quantizer.train()
    set_mode(model, "fit")

    def loss() -> torch.Tensor:
        rows = torch.randint(len(points), (config.batch_size,), generator=rng).to(points.device)
        model(points[rows], timesteps[rows])
        return torch.stack([layer.input_quantizer.error for layer in layers]).mean()

    groups = [{"params": learned, "lr": config.lr, "weight_decay": 0.0}]
    losses = _optimise(groups, loss, config, progress)
    set_mode(model, "quantize")
    model.eval()
    return losses


def _optimise(
    groups: list[dict[str, Any]],
    loss_of_step: Callable[[], torch.Tensor],
    config: TDQTrainingConfig,
    progress: Progress | None,
) -> list[float]:
    trained = [parameter for group in groups for parameter in group["params"]]
    adam = torch.optim.AdamW(groups)
    first = [group["lr"] for group in adam.param_groups]
    means = [parameter.detach().clone() for parameter in trained] if config.ema_decay else []
    losses = []
    for number in range(config.steps):
        warm = min(1.0, (number + 1) / config.warmup) if config.warmup else 1.0
        for group, lr in zip(adam.param_groups, first, strict=True):
            group["lr"] = lr * warm
        adam.zero_grad()
        loss = loss_of_step()
        torch.autograd.backward(loss)
        if config.clip_norm is not None:
            nn.utils.clip_grad_norm_(trained, config.clip_norm)
        adam.step()
        losses.append(float(loss.detach()))
        for mean, parameter in zip(means, trained, strict=False):
            mean.lerp_(parameter.detach(), 1 - min(config.ema_decay, (1 + number) / (10 + number)))
        if progress is not None:
            progress(number, losses[-1])
    with torch.no_grad():
        for mean, parameter in zip(means, trained, strict=False):
            parameter.copy_(mean)
    for parameter in trained:
        parameter.grad = None
    return losses


def _fixed(model: nn.Module, name: str) -> bool:
    """Steps of static methods are what calibration found."""
    return name.endswith("source.step") and state_of(model).config.method.startswith("static")
