"""Images from a trained generator."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from fedzda.generators.config import Mode
from fedzda.generators.networks.base import Generator


@contextmanager
def in_mode(generator: Generator, mode: Mode) -> Iterator[None]:
    """``generator`` in a mode for sampling, which must not move its running statistics."""
    train = mode == "train"
    state = {k: v.clone() for k, v in generator.state_dict().items()} if train else {}
    generator.train(train)
    try:
        yield
    finally:
        if train:
            generator.load_state_dict(state)


@torch.no_grad()
def sample_images(
    generator: Generator, labels: torch.Tensor, rng: torch.Generator, batch_size: int, mode: Mode
) -> torch.Tensor:
    """One image per label, ``(N, C, H, W)`` in [0, 1], on the device of ``labels``.

    In train mode an image also depends on the batch it is made in: labels are taken ``batch_size``
    at a time in the order given, and the last batch is filled up with labels from the beginning.
    """
    device = generator.device
    wanted = torch.arange(len(labels))
    if mode == "train" and len(labels):
        wanted = torch.arange(-(-len(labels) // batch_size) * batch_size) % len(labels)
    z_ND = torch.randn(len(wanted), generator.z_size, generator=rng)
    with in_mode(generator, mode):
        parts = [
            generator.pixels(generator(z.to(device), labels[index].to(device))).clamp(0, 1)
            for z, index in zip(
                torch.split(z_ND, batch_size), torch.split(wanted, batch_size), strict=True
            )
        ]
    return torch.cat(parts)[: len(labels)].to(labels.device)


@torch.no_grad()
def images_from(generator: Generator, z_ND: torch.Tensor, batch_size: int) -> torch.Tensor:
    """The images of given noise, ``(N, C, H, W)`` in [0, 1] on the CPU; unconditional, eval."""
    with in_mode(generator, "eval"):
        parts = [
            generator.pixels(generator(z.to(generator.device))).clamp(0, 1).cpu()
            for z in torch.split(z_ND, batch_size)
        ]
    return torch.cat(parts)
