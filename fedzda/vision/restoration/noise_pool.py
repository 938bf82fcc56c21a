"""Real noise cut out of flat places of a camera's own images (RealSR, Ji et al., CVPRW 2020).

Patches are a camera's fingerprint and show what it saw; they stay with the client.

C channels, H height, W width, S side of a patch.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch.nn import functional

from fedzda.base import UserError
from fedzda.vision.metrics.colour import grey
from fedzda.vision.metrics.pairs import check_floating


def flat_patches(
    images: Iterable[torch.Tensor],
    side: int = 32,
    max_variance: float = 20.0,
    min_mean: float = 0.0,
) -> torch.Tensor:
    """Patches without content, ``(M, C, S, S)``, each with mean 0 in every channel.

    Args:
        images: ``(C, H, W)`` in [0, 1], with equal C.
        side: S; RealSR takes 256 from large photographs, 32 is our choice for small ones.
        max_variance: Largest variance of the grey values, on the scale 0 to 255.
        min_mean: Smallest mean of the grey values, on the scale 0 to 255; RealSR takes 50 for
            telephones, whose dark places are clipped.

    Raises:
        UserError: There are no images, all are below ``side``, none has a patch that is flat and
            bright enough, or one holds integers.
    """
    kept, sizes = [], []
    for image in images:
        check_floating(image)
        sizes.append(f"{image.shape[1]}x{image.shape[2]}")
        if min(image.shape[1:]) < side:
            continue
        columns = functional.unfold(image.unsqueeze(0), side, stride=side)
        cuts = columns[0].T.reshape(-1, image.shape[0], side, side)
        shade = 255 * grey(cuts).double().flatten(1)
        flat = (shade.var(dim=1, correction=0) < max_variance) & (shade.mean(dim=1) > min_mean)
        kept.append(cuts[flat])
    if not kept:
        raise UserError(_too_small(side, sizes))
    pool = torch.cat(kept)
    if not len(pool):
        raise UserError(
            f"max_variance is {max_variance:g} and min_mean is {min_mean:g}, and no patch of "
            f"{side} pixels is that flat and brighter. Change them, use a smaller side, or give "
            "more images."
        )
    return pool - pool.mean(dim=(2, 3), keepdim=True)


def _too_small(side: int, sizes: list[str]) -> str:
    """What is wrong with images of which no patch can be cut."""
    if not sizes:
        return "images: a pool of noise needs one image or more (got none)."
    seen = ", ".join(sorted(set(sizes))[:3])
    return (
        f"side is {side}, and no image has as many pixels on both sides (got {seen}). Use a "
        "smaller side or larger images."
    )


def add_noise(
    images_NCHW: torch.Tensor, pool_MCSS: torch.Tensor, rng: torch.Generator
) -> torch.Tensor:
    """Images in [0, 1] with a random crop of a random patch added to each, clipped.

    A crop has mean 0 as well. Images larger than the patches get patches side by side, each drawn
    by itself.

    Raises:
        UserError: Another number of channels than the pool has.
    """
    n, c, height, width = images_NCHW.shape
    if c != pool_MCSS.shape[1]:
        raise UserError(
            f"noise pool: it has {pool_MCSS.shape[1]} channels, the images have {c}. Fill it from "
            "images of the same kind."
        )
    noise = torch.stack([_tiled(pool_MCSS, height, width, rng) for _ in range(n)])
    return (images_NCHW + noise.to(images_NCHW)).clamp(0, 1)


def _tiled(pool_MCSS: torch.Tensor, height: int, width: int, rng: torch.Generator) -> torch.Tensor:
    """Noise ``(C, height, width)``."""
    side = pool_MCSS.shape[2]
    tall, wide = min(side, height), min(side, width)
    rows = []
    for _ in range(-(-height // tall)):
        row = [_crop(pool_MCSS, tall, wide, rng) for _ in range(-(-width // wide))]
        rows.append(torch.cat(row, dim=2)[:, :, :width])
    return torch.cat(rows, dim=1)[:, :height]


def _crop(pool_MCSS: torch.Tensor, tall: int, wide: int, rng: torch.Generator) -> torch.Tensor:
    side = pool_MCSS.shape[2]
    which, top, left = (
        int(torch.randint(extent, (1,), generator=rng))
        for extent in (len(pool_MCSS), side - tall + 1, side - wide + 1)
    )
    crop = pool_MCSS[which, :, top : top + tall, left : left + wide]
    return crop - crop.mean(dim=(1, 2), keepdim=True)
