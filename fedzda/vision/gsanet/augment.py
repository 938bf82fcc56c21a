"""Random scale, crop, flip and colour of images with their annotations, a whole batch at once.

Scale, crop and flip are one affine resampling, so no larger image is ever made. The annotation is
resampled to the nearest pixel, and what lies outside the image is void, never a class.

N images, C channels, H height, W width.
"""

from __future__ import annotations

import torch
from torch.nn import functional

from fedzda.vision.gsanet.config import AugmentationConfig


def augment(
    images_NCHW: torch.Tensor,
    annotations_NHW: torch.Tensor,
    config: AugmentationConfig,
    void: int,
    rng: torch.Generator,
) -> tuple[torch.Tensor, torch.Tensor]:
    """New images and annotations, of the size of ``config.crop`` or as large as they were.

    Args:
        images_NCHW: Normalised images; the colour outside them is 0, the mean of the data set.
        annotations_NHW: Classes or ``void``, any integer type.
        config: Ranges.
        void: Mark of pixels without a class.
        rng: A CPU generator; the same one gives the same result.
    """
    n, _, height, width = images_NCHW.shape
    crop = (config.crop[0], config.crop[1]) if config.crop else (height, width)
    theta = _placements(n, (height, width), crop, config, rng).to(images_NCHW)
    grid = functional.affine_grid(theta, [n, 1, *crop], align_corners=False)
    images = functional.grid_sample(images_NCHW, grid, "bilinear", "zeros", align_corners=False)
    # Padding is zero, so void becomes zero for the time of the resampling.
    shifted = annotations_NHW.unsqueeze(1).to(images.dtype) - void
    moved = functional.grid_sample(shifted, grid, "nearest", "zeros", align_corners=False)
    annotations = (moved.round() + void).squeeze(1).to(annotations_NHW.dtype)
    return _coloured(images, config.colour, rng), annotations


def _placements(
    count: int,
    size: tuple[int, int],
    crop: tuple[int, int],
    config: AugmentationConfig,
    rng: torch.Generator,
) -> torch.Tensor:
    """Affine maps ``(N, 2, 3)`` from the new image to the old one, both from -1 to 1."""
    low, high = config.scale
    scale = low + (high - low) * torch.rand(count, generator=rng)
    theta = torch.zeros(count, 2, 3)
    for axis, dim in ((0, 1), (1, 0)):  # x, then y
        part = crop[dim] / (scale * size[dim])
        centre = 2 * torch.rand(count, generator=rng) - 1
        theta[:, axis, axis] = part
        theta[:, axis, 2] = centre * (1 - part).abs()
    if config.flip:
        theta[:, 0, 0] *= 1.0 - 2.0 * torch.randint(2, (count,), generator=rng)
    return theta


def _coloured(images_NCHW: torch.Tensor, amount: float, rng: torch.Generator) -> torch.Tensor:
    """Contrast by a factor, brightness and hue by an offset per channel, in units of the std."""
    if amount == 0:
        return images_NCHW
    n, c = images_NCHW.shape[:2]
    gain = 1 + amount * (2 * torch.rand(n, 1, 1, 1, generator=rng) - 1)
    offset = amount * (2 * torch.rand(n, c, 1, 1, generator=rng) - 1)
    return images_NCHW * gain.to(images_NCHW) + offset.to(images_NCHW)
