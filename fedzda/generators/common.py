"""What the synthesizers share: a frozen classifier, labels, initial weights, step sizes."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TypeVar

import torch
from torch import nn

from fedzda.base import ImageSpec, UserError
from fedzda.generators.config import Schedule

ModuleT = TypeVar("ModuleT", bound=nn.Module)


@contextmanager
def frozen(classifier: nn.Module) -> Iterator[nn.Module]:
    """``classifier`` in eval mode without gradients to its weights; restored at the end."""
    modes = [(module, module.training) for module in classifier.modules()]
    flags = [(parameter, parameter.requires_grad) for parameter in classifier.parameters()]
    classifier.eval()
    classifier.requires_grad_(False)
    try:
        yield classifier
    finally:
        for module, training in modes:
            module.training = training
        for parameter, flag in flags:
            parameter.requires_grad_(flag)


def device_of(classifier: nn.Module) -> torch.device:
    """Where the weights are; the CPU for a model without any."""
    return next((p.device for p in classifier.parameters()), torch.device("cpu"))


def balanced_labels(classes: Sequence[int], count: int, rng: torch.Generator) -> torch.Tensor:
    """``count`` labels, every class equally often up to one, in random order, int64 on the CPU.

    Batches mix the classes because stored BatchNorm statistics describe all classes together.
    Which classes come once more, if ``count`` is no multiple of their number, is random too.

    Raises:
        UserError: ``classes`` is empty.
    """
    if not classes:
        raise UserError("synthesis needs at least one class (got none). Name the classes to make.")
    shuffled = torch.tensor(list(classes))[torch.randperm(len(classes), generator=rng)]
    labels = shuffled.repeat(-(-count // len(classes)))[:count]
    return labels[torch.randperm(count, generator=rng)]


def rows_for(
    pool_N: torch.Tensor, wanted: torch.Tensor, rng: torch.Generator, owner: str
) -> torch.Tensor:
    """For each wanted label a row of a pool with that label, int64.

    Within a call no row of a class comes twice before all of them came once.

    Args:
        pool_N: Labels of the pool.
        wanted: Labels asked for, on the CPU.
        rng: CPU generator.
        owner: Name of the synthesizer, for errors.

    Raises:
        UserError: A label is not in the pool.
    """
    rows = torch.empty(len(wanted), dtype=torch.int64)
    for label in torch.unique(wanted):
        places = (wanted == label).nonzero()[:, 0]
        stock = (pool_N == label).nonzero()[:, 0]
        if not len(stock):
            raise UserError(
                f"label {int(label)} is not in the pool of {owner} (it holds "
                f"{torch.unique(pool_N).tolist()}). Fit that class first."
            )
        turns = -(-len(places) // len(stock))
        order = [torch.randperm(len(stock), generator=rng) for _ in range(turns)]
        rows[places] = stock[torch.cat(order)[: len(places)]]
    return rows


def initial(make: Callable[[], ModuleT], rng: torch.Generator) -> ModuleT:
    """What ``make`` builds, with weights from ``rng``; torch's global stream stays untouched."""
    seed = int(torch.randint(2**62, (1,), generator=rng))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return make()


def spawn(rng: torch.Generator) -> torch.Generator:
    """A stream of its own that starts from ``rng``."""
    return torch.Generator().manual_seed(int(torch.randint(2**62, (1,), generator=rng)))


def scheduled(lr: float, schedule: Schedule, step: int, steps: int) -> float:
    """The step size of step ``step`` (from 0) of ``steps``: constant, or half a cosine to 0."""
    if schedule == "constant":
        return lr
    return lr * (1 + math.cos(math.pi * step / steps)) / 2


def set_lr(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """Change the step size of all parameters."""
    for group in optimizer.param_groups:
        group["lr"] = lr


def pixels_of(x_NCHW: torch.Tensor, image: ImageSpec) -> torch.Tensor:
    """Normalised images as pixels, clamped to [0, 1]."""
    mean, std = (x_NCHW.new_tensor(v).view(1, -1, 1, 1) for v in (image.mean, image.std))
    return (x_NCHW * std + mean).clamp(0, 1)


def frozen_student(
    stack: ExitStack, student: nn.Module | None, classifier: nn.Module, key: str, weight: float
) -> nn.Module | None:
    """The student of an adversarial term, frozen until ``stack`` closes; None without the term.

    Args:
        stack: Takes charge of the student.
        student: Moved to where the classifier is.
        classifier: What the student is compared with.
        key: Dotted key of the term's weight, for errors.
        weight: The term's weight; 0: there is no such term.

    Raises:
        UserError: The term has a weight, and there is no student.
    """
    if weight == 0:
        return None
    if student is None:
        raise UserError(
            f"{key} is {weight:g}, but there is no student to compare the classifier with. Pass "
            "student= when the synthesizer is made, or set the weight to 0."
        )
    return stack.enter_context(frozen(student.to(device_of(classifier))))
