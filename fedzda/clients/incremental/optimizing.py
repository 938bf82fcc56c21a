"""Steps of several groups of parameters at once, with a step size that follows a phase."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from torch import nn

from fedzda.clients.optimizers import SGD, AdamW, Optimizer
from fedzda.platform.config import AdamConfig, SGDConfig

_DROPS = (0.5, 0.75)
"""Shares of a phase after which the step size falls to a tenth: epochs 80 and 120 of LUCIR's 160.
"""


def schedule_factor(schedule: str, progress: float) -> float:
    """Factor on the step size after a share ``progress`` in [0, 1) of a phase.

    ``constant``, ``steps`` (a tenth after a half, a hundredth after three quarters) or ``cosine``
    (half a cosine to 0).
    """
    if schedule == "steps":
        return float(0.1 ** sum(progress >= drop for drop in _DROPS))
    if schedule == "cosine":
        return (1.0 + math.cos(math.pi * progress)) / 2.0
    return 1.0


class Optimizers:
    """One optimiser for weights, one without weight decay.

    Args:
        config: ``local.optimizer``.
        decayed: Parameters with the configured weight decay.
        plain: Parameters without any.
        factor: On the step size.
    """

    def __init__(
        self,
        config: SGDConfig | AdamConfig,
        decayed: Iterable[nn.Parameter],
        plain: Sequence[nn.Parameter] = (),
        factor: float = 1.0,
    ) -> None:
        self.own: list[Optimizer] = [_made(config, decayed, factor)]
        if plain:
            self.own.append(_made(config.model_copy(update={"weight_decay": 0.0}), plain, factor))
        self.lr = self.own[0].lr

    def zero_grad(self) -> None:
        """Forget all gradients."""
        for optimizer in self.own:
            optimizer.zero_grad()

    def step(self, factor: float) -> None:
        """One step with ``factor`` times the step size."""
        for optimizer in self.own:
            optimizer.lr = self.lr * factor
            optimizer.step()


def _made(
    config: SGDConfig | AdamConfig, parameters: Iterable[nn.Parameter], factor: float
) -> Optimizer:
    if isinstance(config, AdamConfig):
        return AdamW(parameters, config, factor)
    return SGD(parameters, config, factor)
