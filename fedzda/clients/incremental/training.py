"""The optimiser loop of a phase: the student, or the second teacher."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm

from fedzda.base import torch_rng
from fedzda.clients.hooks.base import LocalRun
from fedzda.clients.incremental.objective import (
    OWN_REPLAY,
    Phase,
    Step,
    base_loss,
    replay_loss,
    uses_old,
)
from fedzda.clients.incremental.optimizing import Optimizers, schedule_factor
from fedzda.clients.incremental.probe import Probe, Views
from fedzda.clients.incremental.replay import Replay
from fedzda.clients.incremental.two_teachers import TwoTeachers
from fedzda.clients.training import batches, freeze_batchnorm
from fedzda.platform.config import LocalConfig
from fedzda.platform.local_steps import lr_factor

_REFRESHED = 20
"""Batches that running statistics are estimated from anew."""


@dataclass
class Student:
    """Everything that a phase's student learns with.

    Attributes:
        run: The client's run; ``run.model`` is the student.
        phase: Classes and options.
        probe: Looks at the student.
        old: Looks at the model before, frozen and in eval mode; None in phase 0.
        new: Looks at the second teacher, likewise; None without one.
        teachers: The regressors; None without a second teacher.
        replay: Samples of old classes, if there are any.
    """

    run: LocalRun
    phase: Phase
    probe: Probe
    old: Probe | None = None
    new: Probe | None = None
    teachers: TwoTeachers | None = None
    replay: Replay | None = None

    def loss(self, images: torch.Tensor, labels: torch.Tensor, rng: torch.Generator) -> Any:
        """The whole loss of a step, and the base method's part of it."""
        made = self._drawn(labels, rng)
        step = self._step(images, labels, made)
        base = base_loss(step, self.phase)
        whole = base
        if made is not None and self.phase.options["base"] not in OWN_REPLAY:
            whole = whole + replay_loss(step, self.phase)
        if self.teachers is not None:
            whole = whole + self.phase.options["dtid"]["beta"] * self._distilled(images, step, made)
        return whole, base

    def _drawn(
        self, labels: torch.Tensor, rng: torch.Generator
    ) -> tuple[torch.Tensor, torch.Tensor] | None:
        """Replayed samples of a step: as many as make old and new classes equally frequent."""
        if self.replay is None:
            return None
        options = self.phase.options["dfgr"]
        count = round(options["ratio"] * len(labels))
        if options["capped"]:
            old = int((labels < self.phase.num_old).sum())
            count = min(count, len(labels) - 2 * old)
        if count < 2:
            return None
        drawn, positions = self.replay.draw(count, rng)
        device = self.run.runtime.device
        return drawn.to(device), positions.to(device)

    def _step(
        self,
        images: torch.Tensor,
        labels: torch.Tensor,
        made: tuple[torch.Tensor, torch.Tensor] | None,
    ) -> Step:
        if made is None:
            step = Step(self.probe(images), labels)
        else:
            own, of_made = self._both(images, made[0])
            step = Step(own, labels, made=of_made, made_labels=made[1])
        if self.old is not None:
            needed = uses_old(self.phase.options) or self.teachers is not None
            with torch.no_grad():
                step.old = self.old(images) if needed else None
                step.made_old = self.old(made[0]) if made is not None else None
        return step

    def _both(self, images: torch.Tensor, made: torch.Tensor) -> tuple[Views, Views]:
        """Real and replayed samples in one pass, or in two of which one moves no statistics."""
        if self.phase.options["dfgr"]["bn_forward"] == "joint":
            return self.probe(torch.cat([images, made])).split(len(images))
        real = self.probe(images)
        with still_statistics(self.probe.model):
            return real, self.probe(made)

    def _distilled(
        self, images: torch.Tensor, step: Step, made: tuple[torch.Tensor, torch.Tensor] | None
    ) -> torch.Tensor:
        assert self.teachers is not None
        assert self.new is not None
        assert step.old is not None
        is_old = step.labels < self.phase.num_old
        student, old, seen = step.student, step.old, images
        if made is not None and step.made is not None and step.made_old is not None:
            student, old = _joined(student, step.made), _joined(old, step.made_old)
            seen = images if self.teachers.new_alone else torch.cat([images, made[0]])
            is_old = torch.cat([is_old, torch.ones_like(made[1], dtype=torch.bool)])
        with torch.no_grad():
            new = self.new(seen)
        return self.teachers.loss(student, old, new, ~is_old, is_old)


def _joined(first: Views, second: Views) -> Views:
    maps = [torch.cat(pair) for pair in zip(first.maps, second.maps, strict=True)]
    logits = torch.cat([first.logits, second.logits])
    return Views(logits, torch.cat([first.features, second.features]), maps)


@contextmanager
def still_statistics(model: nn.Module) -> Iterator[None]:
    """BatchNorm normalises with batch statistics, and its running ones stay as they are."""
    norms = [module for module in model.modules() if isinstance(module, _BatchNorm)]
    before = [module.momentum for module in norms]
    for module in norms:
        module.momentum = 0.0
    try:
        yield
    finally:
        for module, momentum in zip(norms, before, strict=True):
            module.momentum = momentum


def train_student(
    student: Student, config: LocalConfig, rng: np.random.Generator, span: tuple[float, float]
) -> None:
    """Train ``student.run.model`` in place; adds ``loss`` (of the base method) and ``steps``.

    Args:
        student: See :class:`Student`.
        config: Epochs, batch size and optimiser.
        rng: Draws the batches.
        span: Where in the phase this round begins, and which share of the phase it is.
    """
    run, phase, options = student.run, student.phase, student.phase.options
    size = len(run.data["label"])
    run.model.train()
    if size == 1:
        freeze_batchnorm(run.model)
    weights = [*run.model.parameters()]
    variances: list[nn.Parameter] = []
    if student.teachers is not None:
        weights += student.teachers.weights()
        variances = student.teachers.variances()
    factor = lr_factor(config, run.call.round, run.runtime.config.rounds)
    optimizer = Optimizers(config.optimizer, weights, variances, factor)
    frozen = phase.head.weight[: phase.num_old].detach().clone()
    keys = (run.call.round, run.call.client)
    augmentation = torch_rng(run.runtime.seed, "augmentation", *keys)
    drawing = torch_rng(run.runtime.seed, "replay", *keys)
    steps, total, seen = batches(size, config, rng), 0.0, 0
    for number, rows in enumerate(steps):
        index = torch.from_numpy(rows)
        batch = {name: column[index] for name, column in run.data.items()}
        batch = dict(run.runtime.task.augment(batch, augmentation))
        optimizer.zero_grad()
        whole, base = student.loss(batch["image"], batch["label"], drawing)
        whole.backward()
        if config.clip_norm is not None:
            nn.utils.clip_grad_norm_(run.model.parameters(), config.clip_norm)
        progress = span[0] + span[1] * number / len(steps)
        optimizer.step(schedule_factor(options["schedule"], progress))
        if options["base"] == "lucir":
            with torch.no_grad():  # a step size of 0 and no decay for old embeddings
                phase.head.weight[: phase.num_old] = frozen
        total += float(base.detach()) * len(rows)
        seen += len(rows)
    run.metrics["loss"], run.metrics["steps"] = total / seen, len(steps)


def train_teacher(
    run: LocalRun,
    model: nn.Module,
    classes: tuple[int, int],
    config: LocalConfig,
    rng: np.random.Generator,
    options: Mapping[str, Any],
) -> float:
    """Train the second teacher in place on the new classes alone; returns its mean loss.

    Args:
        run: The client's run; of ``run.data`` only samples of new classes are used.
        model: Initial weights.
        classes: First new position and the end, ``(num_old, seen)``.
        config: Epochs, batch size and optimiser.
        rng: Draws the batches.
        options: The strategy's configuration; ``schedule`` counts.
    """
    first, end = classes
    rows_new = torch.nonzero(run.data["label"] >= first).flatten()
    model.train()
    if len(rows_new) == 1:
        freeze_batchnorm(model)
    factor = lr_factor(config, run.call.round, run.runtime.config.rounds)
    optimizer = Optimizers(config.optimizer, model.parameters(), factor=factor)
    augmentation = torch_rng(run.runtime.seed, "teacher", run.call.round, run.call.client)
    steps, total, seen = batches(len(rows_new), config, rng), 0.0, 0
    for number, rows in enumerate(steps):
        index = rows_new[torch.from_numpy(rows)]
        batch = {name: column[index] for name, column in run.data.items()}
        batch = dict(run.runtime.task.augment(batch, augmentation))
        optimizer.zero_grad()
        logits = model(batch["image"])[:, first:end]
        loss = functional.cross_entropy(logits, batch["label"] - first)
        torch.autograd.backward(loss)
        if config.clip_norm is not None:
            nn.utils.clip_grad_norm_(model.parameters(), config.clip_norm)
        optimizer.step(schedule_factor(options["schedule"], number / len(steps)))
        total += float(loss.detach()) * len(rows)
        seen += len(rows)
    return total / seen


@torch.no_grad()
def refresh_statistics(student: Student, rng: np.random.Generator, batch_size: int) -> None:
    """Estimate running statistics anew, from equally many samples of every seen class.

    What a phase leaves behind is mostly about its new classes, and the next generator would follow
    it. Every batch is one part new samples and, for the old classes' share, replayed ones and
    exemplars.
    """
    run, phase = student.run, student.phase
    norms = [module for module in run.model.modules() if isinstance(module, _BatchNorm)]
    if student.replay is None or not norms:
        return
    drawing = torch_rng(run.runtime.seed, "refresh", run.call.round, run.call.client)
    before = [module.momentum for module in norms]
    for module in norms:
        module.reset_running_stats()
        module.momentum = None  # a plain mean over the batches
    run.model.train()
    share = phase.num_old / phase.seen
    old = round(share * batch_size)
    new_rows = np.flatnonzero((run.data["label"] >= phase.num_old).cpu().numpy())
    for _ in range(_REFRESHED):
        rows = torch.from_numpy(rng.choice(new_rows, batch_size - old))
        made, _ = student.replay.draw(old, drawing)
        run.model(torch.cat([run.data["image"][rows], made.to(run.runtime.device)]))
    for module, momentum in zip(norms, before, strict=True):
        module.momentum = momentum
