"""Which sampling steps compute, reuse or skip, and how outputs are mixed (So, Lee, Park 2024).

Steps count from 0, the noisiest.
"""

from __future__ import annotations

from typing import Literal

from fedzda.base import UserError
from fedzda.compression.diffusion.config import FRDiffConfig

Kind = Literal["key", "reuse", "skip"]

_NOTHING = 1e-10
"""Shares of the network below this are none: it is not called."""


def mixing_weight(step: int, steps: int, bias: float = 0.5, slope: float = 30.0) -> float:
    """Share, in [0, 1], of the network's own output; the rest is the last keyframe's.

    ``clip((slope (i / N - b) + 2) / 4, 0, 1)``, as in the authors' code.
    """
    return min(max((slope * (step / steps - bias) + 2) / 4, 0.0), 1.0)


def keyframes(config: FRDiffConfig, steps: int) -> frozenset[int]:
    """The keyframes among ``steps`` sampling steps.

    Raises:
        UserError: A given keyframe lies beyond the last step.
    """
    if config.keyframes is None:
        return frozenset(range(0, steps, config.interval))
    if config.keyframes[-1] >= steps:
        raise UserError(
            f"keyframes must be below the number of sampling steps, {steps} (got "
            f"{config.keyframes[-1]}). Give keyframes that were made for {steps} steps."
        )
    return frozenset(config.keyframes)


def share(config: FRDiffConfig, step: int, steps: int) -> float:
    """The mixing weight of a step that is no keyframe; 0 where the network is not called."""
    if not config.score_mixing:
        return 1.0
    found = mixing_weight(step, steps, config.mixing_bias, config.mixing_slope)
    return found if found >= _NOTHING else 0.0


def plan(config: FRDiffConfig, steps: int) -> list[Kind]:
    """What every step of a trajectory does."""
    frames = keyframes(config, steps)
    return [
        "key" if step in frames else "reuse" if share(config, step, steps) else "skip"
        for step in range(steps)
    ]
