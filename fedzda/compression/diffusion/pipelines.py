"""FRDiff inside pipelines of diffusers, which say themselves how many steps they take."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn

from fedzda.base import UserError
from fedzda.compression.diffusion.config import FRDiffConfig
from fedzda.compression.diffusion.reuse import frdiff
from fedzda.compression.diffusion.trajectory import Trajectory


@contextmanager
def frdiff_pipeline(pipe: Any, config: FRDiffConfig) -> Iterator[Trajectory]:
    """FRDiff on the denoiser of a pipeline, for the length of a block.

    Args:
        pipe: A pipeline with ``scheduler`` and ``unet`` or ``transformer``.
        config: What to reuse when; ``num_inference_steps`` is taken from the scheduler.

    Raises:
        UserError: No denoiser, or a scheduler that calls it more than once per step or takes its
            output for something else than noise.
    """
    denoiser = getattr(pipe, "unet", None) or getattr(pipe, "transformer", None)
    if not isinstance(denoiser, nn.Module):
        raise UserError(
            f"pipeline {type(pipe).__name__} has neither 'unet' nor 'transformer'. Use frdiff on "
            "its denoiser."
        )
    scheduler = pipe.scheduler
    _check(scheduler)
    with frdiff(denoiser, config) as trajectory:
        usual = scheduler.set_timesteps

        def set_timesteps(*args: Any, **kwargs: Any) -> None:
            usual(*args, **kwargs)
            trajectory.set_steps(len(scheduler.timesteps))

        scheduler.set_timesteps = set_timesteps
        try:
            yield trajectory
        finally:
            del scheduler.set_timesteps


def _check(scheduler: Any) -> None:
    name = type(scheduler).__name__
    predicted = scheduler.config.get("prediction_type", "epsilon")
    if predicted != "epsilon":
        raise UserError(
            f"scheduler.prediction_type must be 'epsilon' for FRDiff (got '{predicted}'): a reused "
            "output must be noise. Use a model that predicts noise."
        )
    if scheduler.order != 1:
        raise UserError(
            f"{name} calls the denoiser {scheduler.order} times per step, which FRDiff cannot "
            "follow. Choose a scheduler of order 1, for example DDIMScheduler."
        )
