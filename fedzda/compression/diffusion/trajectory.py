"""Where a sampler stands, read off the time steps it calls the denoiser with."""

from __future__ import annotations

from typing import Any

import torch

from fedzda.base import UserError
from fedzda.compression.diffusion.config import FRDiffConfig
from fedzda.compression.diffusion.schedule import keyframes, share


class Trajectory:
    """Counts sampling steps and calls within a step.

    A rising time step begins a new trajectory, an equal one is a further call of the same step
    (guidance in two calls), a falling one the next step. Each call of a step is a *branch* with
    features of its own.

    Args:
        config: What to reuse when.

    Attributes:
        step: Number of the current sampling step, -1 before the first.
        branch: Number of the current call within the step.
        counts: Calls that were ``key``, ``reuse`` and ``skip``, over all trajectories.
        share: Mixing weight of the last call; 1 at a keyframe.
        running: Whether a call of the denoiser is being served.
    """

    def __init__(self, config: FRDiffConfig) -> None:
        self.config = config
        self.counts = {"key": 0, "reuse": 0, "skip": 0}
        self.share = 1.0
        self.running = False
        self.memories: list[dict[int, torch.Tensor]] = []
        self.outputs: dict[int, Any] = {}
        self.set_steps(config.num_inference_steps)

    def set_steps(self, steps: int | None) -> None:
        """The number of sampling steps; starts afresh."""
        self.steps = steps
        self.frames = keyframes(self.config, steps) if steps else frozenset[int]()
        self.reset()

    def reset(self) -> None:
        """Forget the trajectory and everything kept."""
        self.step, self.branch, self.branches = -1, 0, 0
        self.last: float | None = None
        self.outputs.clear()
        for memory in self.memories:
            memory.clear()

    def finish(self) -> None:
        """End a trajectory.

        Raises:
            UserError: It had other than the promised number of steps, so that keyframes and mixing
                stood at the wrong places.
        """
        done, wanted = self.step + 1, self.steps
        self.reset()
        if 0 < done != wanted:
            raise UserError(
                f"num_inference_steps is {wanted}, but the sampler ended after {done} steps. Set "
                "it to the number of calls that the sampler makes; after a sampler that was "
                "stopped, call reset_frdiff."
            )

    @property
    def is_key(self) -> bool:
        """Whether the current step computes everything."""
        return self.step in self.frames

    # a decision on values is not a part of any graph
    @torch.compiler.disable  # type: ignore[untyped-decorator]
    def advance(self, timesteps: torch.Tensor) -> None:
        """Take in the time step of a call.

        Raises:
            UserError: See the messages: samplers that cannot be followed.
        """
        if self.steps is None:
            raise UserError(
                "FRDiff does not know the number of sampling steps. Set num_inference_steps, or "
                "use frdiff_pipeline, which reads it from the scheduler."
            )
        now = self._single(timesteps)
        if self.last is None or now > self.last:
            self.finish()
            self.step, self.branch = 0, 0
        elif now == self.last:
            self.branch += 1
            self._check(self.step == 0 or self.branch < self.branches, "more")
        else:
            if self.step == 0:
                self.branches = self.branch + 1
            self._check(self.branch + 1 == self.branches, "fewer")
            self.step, self.branch = self.step + 1, 0
        self.last = now
        if self.step >= self.steps:
            self.reset()
            raise UserError(
                f"num_inference_steps is {self.steps}, but the sampler went on to a further step. "
                "Set it to the number of steps of the sampler."
            )
        self.share = 1.0 if self.is_key else share(self.config, self.step, self.steps)
        self.counts["key" if self.is_key else "reuse" if self.share else "skip"] += 1

    def _check(self, fits: bool, word: str) -> None:
        if not fits:
            step = self.step
            self.reset()
            raise UserError(
                f"the sampler calls the denoiser {word} often per step after step {step} than in "
                "the first one. Samplers that repeat time steps (Heun, KDPM2) and guidance that is "
                "switched on or off on the way cannot reuse features: choose another scheduler."
            )

    def _single(self, timesteps: torch.Tensor) -> float:
        values = timesteps.flatten()
        first = float(values[0])
        if not bool((values == values[0]).all()):
            raise UserError(
                "the time steps of one batch differ, but all its images must be at the same "
                "sampling step to reuse features. Sample them in separate calls."
            )
        return first
