"""Two classifiers with disjoint classes become one, without data: the second mode of dual-teacher
information distillation (Choi, El-Khamy, Lee, CVPR Workshops 2021, arXiv 2106.09835).

From each teacher a generator is trained (US 2022/0138633, claims 2 and 3). With images x1, x2 of
both, labels y1, y2 and a student s whose head has the classes of the first teacher, then those of
the second, a step lowers

    ce * CE(s(x), y) + sum_i [ kd * T^2 KL(t_i(xi) || s(xi) among the classes of i)
                               + beta * sum_l VID(s_l(xi) -> t_i,l(xi)) ]

What stands here beyond the two generators and teachers is our choice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from fedzda.base import ImageSpec, Synthesizer, UserError, torch_rng
from fedzda.clients.classifiers import Classifier, build_model
from fedzda.clients.incremental.distillation import softened
from fedzda.clients.incremental.merge_config import MergeConfig
from fedzda.clients.incremental.optimizing import Optimizers, schedule_factor
from fedzda.clients.incremental.probe import Maps
from fedzda.clients.incremental.replay import Fresh, Replay, Stored
from fedzda.clients.incremental.vid import VID
from fedzda.platform.config import plain
from fedzda.platform.parts import build_synthesizer
from fedzda.platform.scenario.layers import layers_of

_SAMPLED = 500
"""Images made at once."""


@dataclass
class Merged:
    """The student, what it takes, and what its training said.

    Attributes:
        model: In eval mode.
        block: The model as ``model:`` in a simulation.
        image: Images of both teachers, normalised as those of the first, with all classes.
        figures: Of each generator's fit, and ``loss``, the mean over the last tenth of the steps.
    """

    model: nn.Module
    block: Mapping[str, Any]
    image: ImageSpec
    figures: dict[str, Any]


@dataclass
class _Side:
    """One teacher in training.

    Attributes:
        teacher: Looks at its layers.
        image: What it takes.
        replay: Its generator's images, not normalised.
        first: Its first class in the student's head.
        regressors: From the student's layers to its own.
    """

    teacher: Maps
    image: ImageSpec
    replay: Replay
    first: int
    regressors: nn.ModuleList

    @property
    def classes(self) -> slice:
        """Its columns of the student's logits."""
        return slice(self.first, self.first + self.image.num_classes)


def merge(
    first: Classifier,
    second: Classifier,
    config: MergeConfig,
    seed: int,
    student: Mapping[str, Any] | None = None,
    say: Callable[[str], None] = lambda text: None,
) -> Merged:
    """One model of the classes of both: those of ``first``, then those of ``second``.

    Args:
        first: Left as it is; so is the other.
        second: For images of the same shape; may be normalised differently.
        config: Generators, losses, schedule.
        seed: Of everything random.
        student: The student as ``model:`` in a simulation; None: as the first.
        say: Told what is done, a sentence at a time.

    Raises:
        UserError: Images of different shapes, no BatchNorm statistics, layers that a model does
            not have, or a student that cannot start from the first model.
    """
    image = _union(first.image, second.image)
    block = dict(student or first.block)
    model = _student(block, first, image, config, seed)
    layers = [_layers(each, config) for each in (model, first.model, second.model)]
    figures: dict[str, Any] = {}
    with ExitStack() as stack:
        looked = stack.enter_context(Maps(model, layers[0]))
        sides: list[_Side] = []
        for name, source, own in zip(("first", "second"), (first, second), layers[1:], strict=True):
            say(f"inverting {type(source.model).__name__} of {source.image.num_classes} classes …")
            start = first.image.num_classes * len(sides)
            replay, figures[name] = _inverted(source, config, seed, start)
            teacher = stack.enter_context(Maps(source.model, own))
            regressors = _regressors(looked, teacher, config, image, torch_rng(seed, "vid", start))
            sides.append(_Side(teacher, source.image, replay, start, regressors))
        say(f"training {type(model).__name__} of {image.num_classes} classes …")
        figures["loss"] = _train(looked, sides, image, config, seed)
    return Merged(model.eval(), block, image, figures)


def _layers(model: nn.Module, config: MergeConfig) -> list[str]:
    return layers_of(model, config.layers, "layers") if config.beta else []


def _union(first: ImageSpec, second: ImageSpec) -> ImageSpec:
    if first.shape != second.shape:
        raise UserError(
            f"the first model takes images of shape {first.shape}, the second of {second.shape} "
            "(channels, height, width). Merge models for images of one shape."
        )
    return replace(first, num_classes=first.num_classes + second.num_classes)


def _student(
    block: Mapping[str, Any], first: Classifier, image: ImageSpec, config: MergeConfig, seed: int
) -> nn.Module:
    """A model of all classes with initial weights."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(torch_rng(seed, "merge-student").initial_seed())
        model = build_model(block, image)
    if config.init == "first":
        _take_over(model, first)
    return model


@torch.no_grad()
def _take_over(model: nn.Module, first: Classifier) -> None:
    """Copy the first model's arrays, and its rows of the last layer.

    Raises:
        UserError: The two differ in more than the number of classes.
    """
    given, classes = first.model.state_dict(), first.image.num_classes
    own = model.state_dict()
    same = given.keys() == own.keys()
    for name, value in own.items() if same else ():
        old = given[name]
        if value.shape == old.shape:
            value.copy_(old)
        elif len(old) == classes and value.shape[1:] == old.shape[1:]:
            value[:classes] = old
        else:
            same = False
    if not same:
        raise UserError(
            "init is 'first', and the student has another architecture than the first model. Set "
            "init=scratch, or leave the student out."
        )


def _inverted(
    source: Classifier, config: MergeConfig, seed: int, key: int
) -> tuple[Replay, dict[str, float]]:
    """Images of one model with pixels in [0, 1], and figures of the generator's fit."""
    maker = build_synthesizer(plain(config.synthesizer))
    classes, image = source.image.num_classes, source.image
    figures = maker.fit(source.model, range(classes), image, torch_rng(seed, "merge-fit", key))
    channels = image.shape[0]
    pixels = replace(image, mean=(0.0,) * channels, std=(1.0,) * channels)
    if config.store is None:
        return Fresh(maker, pixels, classes), figures
    return _stored(maker, classes, config.store, torch_rng(seed, "merge-store", key)), figures


@torch.no_grad()
def _stored(maker: Synthesizer, classes: int, count: int, rng: torch.Generator) -> Stored:
    labels = torch.arange(classes).repeat(-(-count // classes))[:count]
    labels = labels[torch.randperm(count, generator=rng)]
    images = [maker.sample(part, rng) for part in torch.split(labels, _SAMPLED)]
    return Stored(torch.cat(images), labels)


@torch.no_grad()
def _regressors(
    student: Maps, teacher: Maps, config: MergeConfig, image: ImageSpec, rng: torch.Generator
) -> nn.ModuleList:
    """One for each pair of layers, counted from the last ones back."""
    blank = torch.zeros(2, *image.shape)
    student.model.eval()
    pairs = _pairs(student.look(blank)[1], teacher.look(blank)[1])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(rng.initial_seed())
        return nn.ModuleList(VID(s.shape[1], t.shape[1], config.mid_channels) for s, t in pairs)


def _pairs(
    student: Sequence[torch.Tensor], teacher: Sequence[torch.Tensor]
) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Maps that belong together: the last with the last, and so on."""
    size = min(len(student), len(teacher))
    return list(zip(student[len(student) - size :], teacher[len(teacher) - size :], strict=True))


def _train(
    student: Maps, sides: Sequence[_Side], image: ImageSpec, config: MergeConfig, seed: int
) -> float:
    """Train the student in place; returns the mean loss of the last tenth of the steps."""
    weights, variances = list(student.model.parameters()), list[nn.Parameter]()
    for side in sides:
        for name, weight in side.regressors.named_parameters():
            (variances if name.endswith("raw_variance") else weights).append(weight)
    optimizer = Optimizers(config.optimizer, weights, variances)
    rng = torch_rng(seed, "merge-batches")
    student.model.train()
    losses = []
    for step in range(config.steps):
        optimizer.zero_grad()
        loss = _loss(student, sides, image, config, rng)
        torch.autograd.backward(loss)
        optimizer.step(schedule_factor(config.schedule, step / config.steps))
        losses.append(float(loss.detach()))
    last = losses[-max(1, config.steps // 10) :]
    return sum(last) / len(last)


def _loss(
    student: Maps,
    sides: Sequence[_Side],
    image: ImageSpec,
    config: MergeConfig,
    rng: torch.Generator,
) -> torch.Tensor:
    """The loss of one batch, in which every class is as frequent as any other."""
    shares = [side.image.num_classes / image.num_classes for side in sides]
    drawn = [
        side.replay.draw(max(2, round(share * config.batch_size)), rng)
        for side, share in zip(sides, shares, strict=True)
    ]
    logits, maps = student.look(image.normalize(torch.cat([pixels for pixels, _ in drawn])))
    labels = torch.cat([own + side.first for side, (_, own) in zip(sides, drawn, strict=True)])
    loss = config.ce * functional.cross_entropy(logits, labels)
    begin = 0
    for side, (pixels, _) in zip(sides, drawn, strict=True):
        rows = slice(begin, begin + len(pixels))
        begin = rows.stop
        with torch.no_grad():
            answers, seen = side.teacher.look(side.image.normalize(pixels))
        own = logits[rows, side.classes]
        loss = loss + config.kd * softened(own, answers, config.temperature)
        pairs = _pairs([each[rows] for each in maps], seen)
        for regressor, (of_student, of_teacher) in zip(side.regressors, pairs, strict=True):
            loss = loss + config.beta * regressor.loss(of_student, of_teacher)  # type: ignore[operator]
    return loss
