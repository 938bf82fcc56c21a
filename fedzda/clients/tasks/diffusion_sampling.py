"""Samplers of devices, and pictures of what they make."""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from fedzda.base import UserError
from fedzda.clients.tasks.config import DiffusionConfig, SamplingVariantConfig
from fedzda.compression.diffusion.flops import count_flops
from fedzda.compression.diffusion.reuse import frdiff
from fedzda.compression.diffusion.sampling import ddim_scheduler, sample
from fedzda.compression.diffusion.tdq import calibrate_tdq, freeze_tdq, prepare_tdq
from fedzda.compression.diffusion.tdq_training import train_tdq_ptq

Sampler = Callable[[torch.Tensor], torch.Tensor]
"""Noise ``(N, C, H, W)`` to images in about [-1, 1]."""

_FITTED_ON = 32
"""Trajectories that steps are fitted on, and samples that calibrate where there are no images."""
_WIDTH = 48
"""Smallest width of a sample in a picture; smaller ones are enlarged."""


def deployed(model: nn.Module) -> nn.Module:
    """A copy for sampling, in eval mode: a model says how it is made by ``deployed()``."""
    make = getattr(model, "deployed", None)
    if callable(make):
        made: nn.Module = make()
        return made
    return copy.deepcopy(model).eval().requires_grad_(False)


def make_sampler(
    net: nn.Module,
    variant: SamplingVariantConfig,
    config: DiffusionConfig,
    shape: tuple[int, int, int],
    images_NCHW: torch.Tensor | None,
    rng: torch.Generator,
) -> Sampler:
    """The sampler of a variant.

    Args:
        net: The float denoiser; it is changed.
        variant: How to sample.
        config: Sampling steps and fitting.
        shape: Channels, height and width of an image.
        images_NCHW: Images in [-1, 1] that calibrate a quantized variant; None: samples of ``net``.
        rng: CPU generator of calibration and fitting.
    """
    steps = variant.steps or config.sampling_steps
    reuse = variant.frdiff
    if reuse is not None and reuse.num_inference_steps not in (None, steps):
        raise UserError(
            f"task.variants: frdiff.num_inference_steps is {reuse.num_inference_steps}, but the "
            f"device takes {steps} steps. Leave it out."
        )
    if variant.tdq is not None:
        _quantize(net, variant, config, shape, images_NCHW, rng, steps)

    @torch.no_grad()
    def sampler(noise: torch.Tensor) -> torch.Tensor:
        if reuse is None:
            return sample(net, noise, steps, clip=config.clip)
        told = reuse.model_copy(update={"num_inference_steps": steps})
        with frdiff(net, told):
            return sample(net, noise, steps, clip=config.clip)

    return sampler


def _quantize(
    net: nn.Module,
    variant: SamplingVariantConfig,
    config: DiffusionConfig,
    shape: tuple[int, int, int],
    images: torch.Tensor | None,
    rng: torch.Generator,
    steps: int,
) -> None:
    assert variant.tdq is not None
    device = next(net.parameters()).device
    noise = torch.randn(_FITTED_ON, *shape, generator=rng).to(device)
    if images is None:
        with torch.no_grad():
            images = sample(net, noise, config.sampling_steps, clip=config.clip).clamp(-1, 1)
    # step networks draw their weights and their dropout from torch's own generator
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        torch.manual_seed(int(torch.randint(2**31, (1,), generator=rng)))
        prepare_tdq(net, variant.tdq)
        calibrate_tdq(net, images, rng, passes=config.calibration_passes, batch_size=_FITTED_ON)
        train_tdq_ptq(
            net,
            noise,
            config.fitting,
            rng,
            sampling_steps=config.sampling_steps,
            clip=config.clip,
        )
    freeze_tdq(net, ddim_scheduler(steps).timesteps)


def gflop(sampler: Sampler, noise_1CHW: torch.Tensor) -> float:
    """Counted floating-point operations of one image, in 10^9."""
    return count_flops(lambda: sampler(noise_1CHW)) / 1e9


def draw_rows(rows: list[tuple[str, torch.Tensor]]) -> torch.Tensor:
    """One row of images in [0, 1] per name, ``(3, height, width)`` in [0, 1]."""
    from PIL import Image, ImageDraw

    strips = []
    for name, images in rows:
        factor = max(1, -(-_WIDTH // images.shape[3]))
        large = images.cpu().expand(-1, 3, -1, -1)
        large = large.repeat_interleave(factor, 2).repeat_interleave(factor, 3)
        strip = torch.cat(list(torch.nn.functional.pad(large, (1, 1, 1, 1), value=1.0)), dim=2)
        title = Image.new("RGB", (strip.shape[2], 16), "white")
        ImageDraw.Draw(title).text((3, 2), name, fill="black")
        words = torch.from_numpy(np.array(title)).permute(2, 0, 1).float() / 255
        strips += [words, strip]
    return torch.cat(strips, dim=1)
