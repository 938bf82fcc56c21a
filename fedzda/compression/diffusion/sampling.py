"""Deterministic DDIM (Song et al. 2021, arXiv 2010.02502, equation 12 with sigma 0), as a function.

Time steps are *trailing*: ``T - 1, T - 1 - T/N, …``, so that the first one is pure noise and steps
of N/2 are every other step of N. They are those of diffusers' scheduler; its own ``step`` goes
``T // N`` time steps down, which is another place than the next one where N does not divide T.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from fedzda.base import UserError
from fedzda.compression.diffusion.calls import tensor_of

Denoiser = Callable[..., Any]
"""``denoiser(x_NCHW, timestep, **conditions)`` -> noise, as a tensor, tuple or output object."""


def ddim_scheduler(steps: int, clip: bool = False, train_steps: int = 1000) -> Any:
    """A DDIM scheduler with linear betas from 1e-4 to 0.02, set to ``steps`` trailing steps.

    Args:
        steps: Sampling steps.
        clip: Clip the predicted image to [-1, 1] at every step.
        train_steps: T.

    Raises:
        UserError: More sampling steps than T.
    """
    from diffusers import DDIMScheduler

    if steps > train_steps:
        raise UserError(
            f"sampling steps must be at most {train_steps}, the time steps of training (got "
            f"{steps}). Take fewer."
        )
    scheduler = DDIMScheduler(
        num_train_timesteps=train_steps,
        beta_start=1e-4,
        beta_end=0.02,
        clip_sample=clip,
        timestep_spacing="trailing",
    )
    scheduler.set_timesteps(steps)
    # rounding errors add a time step of -1 for some numbers of steps, for example 61
    scheduler.timesteps = scheduler.timesteps[:steps]
    return scheduler


def ddim_step(
    scheduler: Any, number: int, x_NCHW: torch.Tensor, noise_NCHW: torch.Tensor
) -> torch.Tensor:
    """From time step ``number`` of :func:`ddim_scheduler` to the next one, or to the image."""
    t, after = scheduler.timesteps[number], scheduler.timesteps[number + 1 : number + 2]
    here = scheduler.alphas_cumprod[t]
    there = scheduler.alphas_cumprod[after[0]] if len(after) else scheduler.final_alpha_cumprod
    image = (x_NCHW - (1 - here) ** 0.5 * noise_NCHW) / here**0.5
    if scheduler.config.clip_sample:
        image = image.clamp(-1, 1)
    lower: torch.Tensor = there**0.5 * image + (1 - there) ** 0.5 * noise_NCHW
    return lower


def sample(
    denoiser: Denoiser,
    noise_NCHW: torch.Tensor,
    steps: int,
    *,
    clip: bool = False,
    scheduler: Any = None,
    **conditions: Any,
) -> torch.Tensor:
    """Images made from noise, ``(N, C, H, W)`` in about [-1, 1]; differentiable.

    Args:
        denoiser: Predicts the noise.
        noise_NCHW: Where to start.
        steps: Sampling steps.
        clip: Clip the predicted image to [-1, 1] at every step (for models of pixels).
        scheduler: A scheduler of diffusers with its steps set, instead of :func:`ddim_scheduler`.
        **conditions: Passed to the denoiser by name, for example ``class_labels``.
    """
    used = ddim_scheduler(steps, clip) if scheduler is None else scheduler
    x = noise_NCHW
    for number, t in enumerate(used.timesteps):
        noise = tensor_of(denoiser(x, t, **conditions))
        if scheduler is None:
            x = ddim_step(used, number, x, noise)
        else:
            x = used.step(noise, t, x).prev_sample
    return x


def add_noise(
    images_NCHW: torch.Tensor, noise_NCHW: torch.Tensor, timesteps_N: torch.Tensor
) -> torch.Tensor:
    """Images at given time steps of :func:`ddim_scheduler`'s noise, ``(N, C, H, W)``."""
    noisy: torch.Tensor = ddim_scheduler(1).add_noise(images_NCHW, noise_NCHW, timesteps_N)
    return noisy


@torch.no_grad()
def trajectory_points(
    denoiser: Denoiser,
    noise_NCHW: torch.Tensor,
    steps: int,
    rng: torch.Generator,
    clip: bool = False,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Points of DDIM trajectories at all kinds of time steps.

    From every sampling step, one further point between it and the next one is taken, at a random
    time step per image, by a shorter DDIM step.

    Args:
        denoiser: Predicts the noise.
        noise_NCHW: Where to start.
        steps: Sampling steps.
        rng: CPU generator of the time steps.
        clip: Clip predicted images to [-1, 1].

    Returns:
        ``(steps N, C, H, W)`` and their time steps ``(steps N,)``.
    """
    scheduler = ddim_scheduler(steps, clip)
    kept = scheduler.alphas_cumprod.to(noise_NCHW)
    points, times, x = [], [], noise_NCHW
    after = [*scheduler.timesteps[1:].tolist(), -1]
    for number, t in enumerate(scheduler.timesteps):
        noise = tensor_of(denoiser(x, t))
        image = (x - (1 - kept[t]).sqrt() * noise) / kept[t].sqrt()
        image = image.clamp(-1, 1) if clip else image
        back = torch.randint(int(t) - after[number], (len(x),), generator=rng)
        time = (t - back).to(x.device)
        share = kept[time].view(-1, 1, 1, 1)
        points.append(share.sqrt() * image + (1 - share).sqrt() * noise)
        times.append(time)
        x = ddim_step(scheduler, number, x, noise)
    return torch.cat(points), torch.cat(times)
