"""Samplers of devices, and pictures of what they make."""

from __future__ import annotations

import copy
from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from fedzda.clients.tasks.config import DiffusionConfig
from fedzda.clients.variants.sampling import way_of
from fedzda.clients.variants.sampling_config import SamplingConfig
from fedzda.compression.diffusion.config import TDQConfig
from fedzda.compression.diffusion.flops import count_flops
from fedzda.compression.diffusion.reuse import frdiff
from fedzda.compression.diffusion.sampling import ddim_scheduler, sample
from fedzda.compression.diffusion.tdq import (
    calibrate_tdq,
    freeze_tdq,
    prepare_tdq,
    tdq_layers,
)
from fedzda.compression.diffusion.tdq_training import train_tdq_ptq

Sampler = Callable[[torch.Tensor], torch.Tensor]
"""Noise ``(N, C, H, W)`` to images in about [-1, 1]."""

_FITTED_ON = 32
"""Trajectories that steps are fitted on, and samples that calibrate where there are no images."""
_WIDTH = 48
"""Smallest width of a sample in a picture; smaller ones are enlarged."""
_LETTERS = 13
"""Height of letters in a picture, in pixels."""


def deployed(model: nn.Module) -> nn.Module:
    """A copy for sampling, in eval mode: a model says how it is made by ``deployed()``."""
    make = getattr(model, "deployed", None)
    if callable(make):
        made: nn.Module = make()
        return made
    return copy.deepcopy(model).eval().requires_grad_(False)


def make_sampler(
    model: nn.Module,
    config: DiffusionConfig,
    shape: tuple[int, int, int],
    images_NCHW: torch.Tensor | None,
    rng: torch.Generator,
) -> Sampler:
    """The sampler of a device.

    Args:
        model: What the device tests, which says how it samples
            (:func:`fedzda.clients.variants.sampling.way_of`); it is not changed.
        config: Sampling steps and fitting.
        shape: Channels, height and width of an image.
        images_NCHW: Images in [-1, 1] that calibrate a quantized variant; None: samples of ``net``.
        rng: CPU generator of calibration and fitting.
    """
    way, net = way_of(model), deployed(model)
    if way.bits is not None:
        _quantize(net, way, way.bits, config, shape, images_NCHW, rng)
    return plain_sampler(net, way, config)


def plain_sampler(net: nn.Module, way: SamplingConfig, config: DiffusionConfig) -> Sampler:
    """The sampler of a network with the steps and the reuse of a way; bits are the network's."""
    steps, reuse = way.steps or config.sampling_steps, way.reuse

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
    way: SamplingConfig,
    bits: TDQConfig,
    config: DiffusionConfig,
    shape: tuple[int, int, int],
    images: torch.Tensor | None,
    rng: torch.Generator,
) -> None:
    device = next(net.parameters()).device
    noise = torch.randn(_FITTED_ON, *shape, generator=rng).to(device)
    if images is None:
        with torch.no_grad():
            images = sample(net, noise, config.sampling_steps, clip=config.clip).clamp(-1, 1)
    # step networks draw their weights and their dropout from torch's own generator
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        torch.manual_seed(int(torch.randint(2**31, (1,), generator=rng)))
        prepare_tdq(net, bits)
        calibrate_tdq(net, images, rng, passes=config.calibration_passes, batch_size=_FITTED_ON)
        train_tdq_ptq(
            net,
            noise,
            config.fitting,
            rng,
            sampling_steps=config.sampling_steps,
            clip=config.clip,
        )
    freeze_tdq(net, ddim_scheduler(way.steps or config.sampling_steps).timesteps)


def saved_bytes(net: nn.Module, bits: TDQConfig) -> int:
    """Bytes that packed weights save; tables of steps are a few numbers per layer, not counted."""
    quantized = copy.deepcopy(net)
    with torch.random.fork_rng(devices=[]):  # step networks draw their weights
        prepare_tdq(quantized, bits)
    weights = sum(layer.weight.numel() for layer in tdq_layers(quantized).values())
    return weights * (32 - bits.weight_bits) // 8


def gflop(sampler: Sampler, noise_1CHW: torch.Tensor) -> float:
    """Counted floating-point operations of one image, in 10^9."""
    return count_flops(lambda: sampler(noise_1CHW)) / 1e9


def draw_rows(rows: list[tuple[str, torch.Tensor]]) -> torch.Tensor:
    """One row of images in [0, 1] per name, ``(3, height, width)`` in [0, 1]."""
    from PIL import Image, ImageDraw, ImageFont

    font = ImageFont.load_default(_LETTERS)

    strips = []
    for name, images in rows:
        factor = max(1, -(-_WIDTH // images.shape[3]))
        large = images.cpu().expand(-1, 3, -1, -1)
        large = large.repeat_interleave(factor, 2).repeat_interleave(factor, 3)
        strip = torch.cat(list(torch.nn.functional.pad(large, (1, 1, 1, 1), value=1.0)), dim=2)
        title = Image.new("RGB", (strip.shape[2], 16), "white")
        ImageDraw.Draw(title).text((3, 0), name, fill="black", font=font)
        words = torch.from_numpy(np.array(title)).permute(2, 0, 1).float() / 255
        strips += [words, strip]
    return torch.cat(strips, dim=1)
