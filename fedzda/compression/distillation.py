"""Quantization-aware distillation: the quantized model learns the logits of the float model.

    loss = ce_weight * CE(s(x), y) + kd_factor * KL(softmax(t(x) / T) || softmax(s(x) / T))

averaged over images, for the frozen float model t and its quantized copy s. Gradients pass the
rounding straight through (:mod:`fedzda.compression.quantizers`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm

from fedzda.base import UserError
from fedzda.compression.calibration import activation_quantizers
from fedzda.compression.config import DistillationConfig
from fedzda.compression.images import Feed, Images

_SMALLEST_STEP = 1e-8
Progress = Callable[[int, int, float], None]
"""Called after each step with the number of steps done, of steps in all, and the loss."""


def distill(
    model: nn.Module,
    teacher: nn.Module,
    feed: Feed,
    config: DistillationConfig,
    progress: Progress | None = None,
) -> list[float]:
    """Train a calibrated model in place.

    Args:
        model: Prepared and calibrated; stays in eval mode but for BatchNorm, if its statistics
            are not frozen.
        teacher: The float model in eval mode; left as it is.
        feed: Where the images come from.
        config: Loss, optimiser, schedule.
        progress: Watches the training.

    Returns:
        The loss of every step.

    Raises:
        UserError: Cross entropy is asked for without labels or with a single class, or the loss
            is no longer finite.
    """
    device = next(model.parameters()).device
    optimizer = _optimizer(model, config)
    _set_batch_norm(model, train=not config.freeze_bn)
    losses: list[float] = []
    for step in range(config.steps):
        for quantizer in activation_quantizers(model):
            quantizer.observing = step < config.live_range_steps
        images = feed.draw(config.batch_size)
        if step == 0:
            _check_labels(feed.labels_around(images), config)
        loss = _loss(model, teacher, images, feed.normalize(images).to(device), config)
        for group in optimizer.param_groups:
            group["lr"] = _lr(config, step)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        _keep_steps_positive(model)
        losses.append(loss.item())
        if not math.isfinite(losses[-1]):
            raise UserError(
                f"distillation diverged at step {step + 1}: the loss is {losses[-1]}. Lower "
                f"distillation.lr (it is {config.lr})."
            )
        if progress is not None:
            progress(step + 1, config.steps, losses[-1])
    for quantizer in activation_quantizers(model):
        quantizer.observing = False
    model.eval().requires_grad_(False)
    return losses


def _loss(
    model: nn.Module,
    teacher: nn.Module,
    images: Images,
    x_NCHW: torch.Tensor,
    config: DistillationConfig,
) -> torch.Tensor:
    with torch.no_grad():
        target = functional.log_softmax(teacher(x_NCHW) / config.temperature, dim=1)
    logits = model(x_NCHW)
    guess = functional.log_softmax(logits / config.temperature, dim=1)
    loss = config.kd_factor * functional.kl_div(
        guess, target, reduction="batchmean", log_target=True
    )
    weight = config.ce_weight if config.ce_weight is not None else 1.0
    if images.labels is not None and weight:
        loss = loss + weight * functional.cross_entropy(logits, images.labels.to(logits.device))
    return loss


def _check_labels(labels: torch.Tensor | None, config: DistillationConfig) -> None:
    if labels is None:
        if config.ce_weight:
            raise UserError(
                f"distillation.ce_weight is {config.ce_weight}, but the images have no labels. "
                "Set it to 0 or null, or give labelled images."
            )
    elif config.ce_weight != 0 and len(torch.unique(labels)) < 2:
        raise UserError(
            "cross entropy needs images of at least two classes (all labels are "
            f"{int(labels[0])}). Mix the classes, or set distillation.ce_weight to 0."
        )


def _optimizer(model: nn.Module, config: DistillationConfig) -> torch.optim.Optimizer:
    """SGD; learned steps of quantizers are not decayed."""
    model.requires_grad_(True)
    named = list(model.named_parameters())
    steps = [p for n, p in named if n.endswith(".step")]
    groups: list[dict[str, Any]] = [{"params": [p for n, p in named if not n.endswith(".step")]}]
    if steps:
        groups.append({"params": steps, "weight_decay": 0.0})
    return torch.optim.SGD(
        groups,
        config.lr,
        momentum=config.momentum,
        weight_decay=config.weight_decay,
        nesterov=config.nesterov and config.momentum > 0,
    )


@torch.no_grad()
def _keep_steps_positive(model: nn.Module) -> None:
    for name, parameter in model.named_parameters():
        if name.endswith(".step"):
            parameter.clamp_(min=_SMALLEST_STEP)


def _set_batch_norm(model: nn.Module, train: bool) -> None:
    for module in model.modules():
        if isinstance(module, _BatchNorm):
            module.train(train)


def _lr(config: DistillationConfig, step: int) -> float:
    if config.schedule == "constant":
        return config.lr
    return config.lr * 0.5 * (1 + math.cos(math.pi * step / config.steps))
