"""The step size of a client's round, and how far its gradients carry."""

from __future__ import annotations

import numpy as np

from fedzda.platform.config import LocalConfig, SGDConfig


def lr_factor(config: LocalConfig, round_: int, rounds: int) -> float:
    """Factor on the step size in round ``round_`` (from 1) of ``rounds``."""
    factor = config.lr_decay ** (round_ - 1)
    if config.poly is not None:
        factor *= (1 - (round_ - 1) / rounds) ** config.poly
    return factor


def reach(optimizer: SGDConfig, steps: int) -> float:
    """``||a||_1``: the sum over a round's gradients of their weight in the final weights.

    After ``steps`` of SGD from an empty momentum buffer the weights have moved by
    ``-lr * sum_i a_i g_i``. Without momentum every ``a_i`` is 1; with momentum rho the gradient of
    step i counts ``(1 - rho^n) / (1 - rho)``, n = steps - i, because it is used in all later steps
    as well (FedNova, arXiv 2007.07481, section 4).
    """
    left = np.arange(steps, 0, -1, dtype=np.float64)
    rho = optimizer.momentum
    geometric = (1.0 - rho**left) / (1.0 - rho)
    return float((1.0 + rho * geometric if optimizer.nesterov else geometric).sum())
