"""The optimiser loop of one client."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from fedzda.base import torch_rng
from fedzda.clients.hooks.base import Batch, Hook, LocalRun
from fedzda.clients.optimizers import Optimizer, make_optimizer
from fedzda.platform.config import LocalConfig
from fedzda.platform.local_steps import lr_factor

_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


def batches(size: int, config: LocalConfig, rng: np.random.Generator) -> list[np.ndarray]:
    """Row numbers of every gradient step of a round.

    Each epoch is a fresh permutation. A last batch of a single row is joined to the one before
    it, because BatchNorm cannot train on one sample.
    """
    per_epoch = max(1, size // config.batch_size + (size % config.batch_size > 1))
    epochs = config.epochs if config.steps is None else -(-config.steps // per_epoch)
    steps: list[np.ndarray] = []
    for _ in range(epochs):
        order = rng.permutation(size)
        cuts = [config.batch_size * i for i in range(1, per_epoch)]
        steps.extend(np.split(order, cuts))
    return steps if config.steps is None else steps[: config.steps]


def train(run: LocalRun, config: LocalConfig, hooks: list[Hook], rng: np.random.Generator) -> None:
    """Train ``run.model`` in place; adds ``loss`` (mean over samples seen) and ``steps``."""
    try:
        _train(run, config, hooks, rng)
    finally:
        for hook in hooks:
            hook.close()


def _train(run: LocalRun, config: LocalConfig, hooks: list[Hook], rng: np.random.Generator) -> None:
    for hook in hooks:
        hook.start(run)
    trained = [hook.train(run, config, rng) for hook in hooks]
    if any(trained):
        for hook in hooks:
            hook.finish(run)
        return
    task = run.task = run.runtime.task.for_client(run)
    size = len(next(iter(run.data.values())))
    run.model.train()
    if size == 1:
        freeze_batchnorm(run.model)
    factor = lr_factor(config, run.call.round, run.runtime.config.rounds)
    optimizer = make_optimizer(config.optimizer, run.model, factor)
    augmentation = torch_rng(run.runtime.seed, "augmentation", run.call.round, run.call.client)
    total, seen, count = 0.0, 0, 0
    for rows in batches(size, config, rng):
        index = torch.from_numpy(rows)
        batch = {name: column[index] for name, column in run.data.items()}
        batch = dict(task.augment(batch, augmentation))
        total += step(run, batch, optimizer, config.clip_norm, hooks) * len(rows)
        seen += len(rows)
        count += 1
    run.metrics["loss"] = total / seen
    run.metrics["steps"] = count
    task.finish(run)
    for hook in hooks:
        hook.finish(run)


def step(
    run: LocalRun,
    batch: Batch,
    optimizer: Optimizer,
    clip_norm: float | None,
    hooks: list[Hook],
) -> float:
    """One gradient step; returns the task's loss on the batch."""
    optimizer.zero_grad()
    loss = task_loss = (run.task or run.runtime.task).loss(run.model, batch)
    for hook in hooks:
        loss = hook.loss(run, batch, loss)
    loss.backward()
    for hook in hooks:
        hook.gradient(run)
    if clip_norm is not None:
        nn.utils.clip_grad_norm_(run.model.parameters(), clip_norm)
    optimizer.step()
    return float(task_loss.detach())


def freeze_batchnorm(model: nn.Module) -> None:
    """Let BatchNorm use its stored statistics: a single sample has no variance to learn from."""
    for module in model.modules():
        if isinstance(module, _NORMS):
            module.eval()
