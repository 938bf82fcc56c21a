"""SGD and AdamW over all parameters at once (``torch._foreach``), the rules of ``torch.optim``.

Why not ``torch.optim`` itself: its first use imports torch's compiler, 1.5 s and 60 MB in every
worker, and its bookkeeping costs more per step than the arithmetic of a small model. Results are
those of ``torch.optim`` with ``foreach=True``, bit for bit (tests/unit/clients/test_optimizers.py).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from copy import copy
from typing import ClassVar

import torch
from torch import nn

from fedzda.platform.config import AdamConfig, SGDConfig


class Optimizer(ABC):
    """One client's optimiser in one round; its state starts empty.

    A parameter without a gradient in a step is left alone in it, its state included.

    Args:
        parameters: Trained in place.
        lr: Step size.
    """

    state: ClassVar[tuple[str, ...]]
    """Attributes that hold one tensor per parameter, of its shape; empty before the first step."""

    def __init__(self, parameters: Iterable[nn.Parameter], lr: float) -> None:
        self.parameters = [p for p in parameters if p.requires_grad]
        self.lr = lr
        self.steps = 0
        self.apart: list[Optimizer] = []
        """Parameters that missed a step which others took, with their own state and steps."""

    def zero_grad(self) -> None:
        """Forget all gradients."""
        for parameter in self.parameters:
            parameter.grad = None
        for part in self.apart:
            part.zero_grad()

    @torch.no_grad()
    def step(self) -> None:
        """One step on the gradients."""
        for part in self.apart:
            part.lr = self.lr
            part.step()
        grads = [p.grad for p in self.parameters if p.grad is not None]
        if not grads:
            return
        if len(grads) < len(self.parameters):
            self._split()
        self.steps += 1
        self.update(list(self.parameters), grads)

    def _split(self) -> None:
        """Keep the parameters that have a gradient, and set the others apart."""
        held = [parameter.grad is not None for parameter in self.parameters]
        part = copy(self)
        part.apart = []
        for name in ("parameters", *self.state):
            pairs = list(zip(getattr(self, name), held, strict=False))  # no state yet: no pairs
            setattr(self, name, [value for value, has in pairs if has])
            setattr(part, name, [value for value, has in pairs if not has])
        self.apart.append(part)

    def narrow(self, smaller: Mapping[nn.Parameter, nn.Parameter]) -> None:
        """Go on with ``smaller[p]``, the first rows of ``p`` in the same memory, for each ``p``."""
        for part in self.apart:
            part.narrow(smaller)
        self.parameters = [smaller[parameter] for parameter in self.parameters]
        for name in self.state:
            values = zip(getattr(self, name), self.parameters, strict=False)
            setattr(self, name, [value[: len(parameter)] for value, parameter in values])

    @abstractmethod
    def update(self, parameters: list[torch.Tensor], grads: list[torch.Tensor]) -> None:
        """Change the parameters in place."""


class SGD(Optimizer):
    """Stochastic gradient descent with weight decay, momentum and Nesterov's form."""

    state = ("momenta",)

    def __init__(
        self, parameters: Iterable[nn.Parameter], config: SGDConfig, factor: float = 1.0
    ) -> None:
        super().__init__(parameters, config.lr * factor)
        self.config = config
        self.momenta: list[torch.Tensor] = []

    def update(self, parameters: list[torch.Tensor], grads: list[torch.Tensor]) -> None:
        """See :meth:`Optimizer.update`."""
        config = self.config
        if config.weight_decay:
            grads = list(torch._foreach_add(grads, parameters, alpha=config.weight_decay))
        if config.momentum:
            if self.momenta:
                torch._foreach_mul_(self.momenta, config.momentum)
                torch._foreach_add_(self.momenta, grads)
            else:
                self.momenta = [grad.clone() for grad in grads]
            if config.nesterov:
                grads = list(torch._foreach_add(grads, self.momenta, alpha=config.momentum))
            else:
                grads = self.momenta
        torch._foreach_add_(parameters, grads, alpha=-self.lr)


class AdamW(Optimizer):
    """Adam with decoupled weight decay."""

    state = ("first", "second")
    eps = 1e-8

    def __init__(
        self, parameters: Iterable[nn.Parameter], config: AdamConfig, factor: float = 1.0
    ) -> None:
        super().__init__(parameters, config.lr * factor)
        self.config = config
        self.first: list[torch.Tensor] = []
        self.second: list[torch.Tensor] = []

    def update(self, parameters: list[torch.Tensor], grads: list[torch.Tensor]) -> None:
        """See :meth:`Optimizer.update`."""
        beta1, beta2 = self.config.betas
        if not self.first:
            self.first = [torch.zeros_like(grad) for grad in grads]
            self.second = [torch.zeros_like(grad) for grad in grads]
        if self.config.weight_decay:
            torch._foreach_mul_(parameters, 1 - self.lr * self.config.weight_decay)
        torch._foreach_lerp_(self.first, grads, 1 - beta1)
        torch._foreach_mul_(self.second, beta2)
        torch._foreach_addcmul_(self.second, grads, grads, 1 - beta2)
        correction = (1 - beta2**self.steps) ** 0.5
        root = torch._foreach_sqrt(self.second)
        torch._foreach_div_(root, correction)
        torch._foreach_add_(root, self.eps)
        torch._foreach_addcdiv_(
            parameters, self.first, root, value=-self.lr / (1 - beta1**self.steps)
        )


def make_optimizer(config: SGDConfig | AdamConfig, model: nn.Module, factor: float) -> Optimizer:
    """The optimiser of one client's round; ``factor`` scales the step size (decay over rounds)."""
    if isinstance(config, AdamConfig):
        return AdamW(model.parameters(), config, factor)
    return SGD(model.parameters(), config, factor)
