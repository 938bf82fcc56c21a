"""Training of one network that can be stopped and goes on where it was, bit for bit.

Every batch is a function of its step, so a checkpoint holds weights, Adam's moments and the step.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import torch
from pydantic import Field
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn

from fedzda.base import StrictConfig, UserError
from fedzda.vision.restoration.losses import charbonnier, l1, psnr_loss

Batch = tuple[torch.Tensor, torch.Tensor]
"""What goes in, ``(N, C, H, W)``, and what should come out."""

_LOSSES = {"l1": l1, "charbonnier": charbonnier, "psnr": psnr_loss}


class TrainingConfig(StrictConfig):
    """AdamW with a cosine schedule; defaults are our choice for a CPU."""

    steps: int = Field(default=5000, ge=1)
    """Steps in all."""
    lr: float = Field(default=1e-3, gt=0)
    """Step size at the start."""
    last_lr: float = Field(default=1e-5, ge=0)
    """Step size at the end of half a cosine."""
    betas: list[float] = Field(default=[0.9, 0.9], min_length=2, max_length=2)
    """Decay of Adam's first and second moment; 0.9 twice is what NAFNet is trained with."""
    weight_decay: float = Field(default=0.0, ge=0)
    """Decay of the weights, apart from the gradient."""
    loss: Literal["l1", "charbonnier", "psnr"] = "l1"
    """Distance from the truth."""
    max_norm: float = Field(default=1.0, gt=0)
    """Longer gradients are shortened to it."""
    checkpoint_every: int = Field(default=250, ge=1)
    """Steps between checkpoints and between calls of ``report``."""


@dataclass
class Progress:
    """How far a training is.

    Attributes:
        step: Steps done.
        seconds: Time spent in them, over all sittings, without evaluation.
        curve: ``{"step", "seconds", "loss", …}`` at every checkpoint; ``report`` adds to the last.
    """

    step: int = 0
    seconds: float = 0.0
    curve: list[dict[str, float]] = field(default_factory=list)


def fit(
    network: nn.Module,
    batch: Callable[[int], Batch],
    config: TrainingConfig,
    checkpoint: Path | None = None,
    report: Callable[[Progress], None] | None = None,
    stop_after: int | None = None,
) -> Progress:
    """Train to ``config.steps``, from the checkpoint if there is one.

    Args:
        network: Trained in place, on the device it is on.
        batch: Gives the batch of a step, on any device; the same one for the same step.
        config: How to train.
        checkpoint: File (safetensors) to go on from and to write to.
        report: Called at every checkpoint with the network in eval mode, before it is written.
        stop_after: Leave off after so many steps of this sitting.

    Raises:
        UserError: The checkpoint is of another network or configuration.
        FloatingPointError: The loss is not finite.
    """
    optimizer = torch.optim.AdamW(
        network.parameters(),
        lr=config.lr,
        betas=(config.betas[0], config.betas[1]),
        weight_decay=config.weight_decay,
    )
    progress = Progress()
    if checkpoint is not None and checkpoint.exists():
        progress = _load(checkpoint, network, optimizer, config)
    last = config.steps if stop_after is None else min(config.steps, progress.step + stop_after)
    losses: list[float] = []
    while progress.step < last:
        start = time.perf_counter()
        losses.append(_step(network, optimizer, batch(progress.step), config, progress.step))
        progress.step += 1
        progress.seconds += time.perf_counter() - start
        if progress.step % config.checkpoint_every == 0 or progress.step == last:
            mean = sum(losses) / len(losses)
            losses = []
            progress.curve.append(
                {"step": progress.step, "seconds": round(progress.seconds, 1), "loss": mean}
            )
            if report is not None:
                network.eval()
                report(progress)
            if checkpoint is not None:
                _save(checkpoint, network, optimizer, config, progress)
    network.eval()
    return progress


def _step(
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    batch: Batch,
    config: TrainingConfig,
    step: int,
) -> float:
    """One step; returns the loss."""
    network.train()
    device = next(network.parameters()).device
    share = 0.5 * (1 + math.cos(math.pi * step / config.steps))
    optimizer.param_groups[0]["lr"] = config.last_lr + (config.lr - config.last_lr) * share
    given, truth = (side.to(device) for side in batch)
    loss = _LOSSES[config.loss](network(given), truth)
    value = loss.item()
    if not math.isfinite(value):
        raise FloatingPointError(f"the loss is {value} at step {step}; lower lr")
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(network.parameters(), config.max_norm)
    optimizer.step()
    return value


def _save(
    path: Path,
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    config: TrainingConfig,
    progress: Progress,
) -> None:
    """Write to a sibling first, so that a crash leaves the old checkpoint."""
    tensors = {f"network.{key}": value for key, value in network.state_dict().items()}
    for place, state in optimizer.state_dict()["state"].items():
        tensors.update({f"adam.{place}.{key}": value for key, value in state.items()})
    metadata = {
        "config": config.model_dump_json(),
        "progress": json.dumps([progress.step, progress.seconds, progress.curve]),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    save_file({key: value.contiguous() for key, value in tensors.items()}, temporary, metadata)
    os.replace(temporary, path)


def _load(
    path: Path, network: nn.Module, optimizer: torch.optim.Optimizer, config: TrainingConfig
) -> Progress:
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    if metadata["config"] != config.model_dump_json():
        raise UserError(
            f"checkpoint: {path} is of another training configuration. Remove it, or train with "
            f"{metadata['config']}."
        )
    weights = {key[8:]: value for key, value in tensors.items() if key.startswith("network.")}
    wanted = network.state_dict()
    if {k: v.shape for k, v in weights.items()} != {k: v.shape for k, v in wanted.items()}:
        raise UserError(f"checkpoint: {path} is of another network. Remove it, or use that one.")
    network.load_state_dict(weights)
    state: dict[int, dict[str, torch.Tensor]] = {}
    for key, value in tensors.items():
        if key.startswith("adam."):
            _, place, name = key.split(".")
            state.setdefault(int(place), {})[name] = value
    optimizer.load_state_dict({**optimizer.state_dict(), "state": state})
    return Progress(*json.loads(metadata["progress"]))
