"""Random patches of images of unequal size, the same ones of several aligned images.

C channels, H height, W width, S side of a patch.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from fedzda.base import UserError
from fedzda.vision.restoration.bayer import turn


def patches(
    scenes: Sequence[Sequence[torch.Tensor]],
    count: int,
    side: int,
    rng: torch.Generator,
    flips: bool = True,
    step: int = 1,
) -> list[torch.Tensor]:
    """Patches of random scenes at random places, turned at random.

    Args:
        scenes: Aligned images ``(C, H, W)`` of each scene, for example noisy and clean. A later
            image of a scene may be larger by a whole factor; its patches are so as well.
        count: Patches.
        side: S of patches of the first image.
        rng: A CPU generator.
        flips: Flip and transpose at random; not for Bayer mosaics (``bayer.augment``).
        step: Patches begin at multiples of it; 2 keeps a Bayer pattern.

    Returns:
        One tensor ``(count, C, S, S)`` for each image of a scene.

    Raises:
        UserError: No scenes, an image below ``side``, or images of a scene whose sides are not the
            same whole multiple of the first one's.
    """
    if not scenes:
        raise UserError("scenes: patches need one scene or more (got none).")
    drawn = [_patch(scenes, side, rng, flips, step) for _ in range(count)]
    return [torch.stack(images) for images in zip(*drawn, strict=True)]


def _patch(
    scenes: Sequence[Sequence[torch.Tensor]],
    side: int,
    rng: torch.Generator,
    flips: bool,
    step: int,
) -> list[torch.Tensor]:
    scene = scenes[int(torch.randint(len(scenes), (1,), generator=rng))]
    height, width = scene[0].shape[1:]
    if min(height, width) < side:
        raise UserError(
            f"patch side: no larger than the images (got {side} for an image of {height}x{width})."
        )
    top, left = (
        step * int(torch.randint((extent - side) // step + 1, (1,), generator=rng))
        for extent in (height, width)
    )
    turns = [bool(bit) and flips for bit in torch.randint(2, (3,), generator=rng)]
    cut = []
    for image in scene:
        factor = _factor(image, height, width)
        rows = slice(factor * top, factor * (top + side))
        columns = slice(factor * left, factor * (left + side))
        cut.append(turn(image[:, rows, columns].unsqueeze(0), turns)[0])
    return cut


def _factor(image_CHW: torch.Tensor, height: int, width: int) -> int:
    """How often the image is as large as the first one of its scene."""
    factor = image_CHW.shape[1] // height
    if factor < 1 or image_CHW.shape[1:] != (factor * height, factor * width):
        raise UserError(
            "scenes: both sides of a later image are the same whole multiple of the first one's "
            f"(got {image_CHW.shape[1]}x{image_CHW.shape[2]} beside {height}x{width}). Crop or "
            "resize the images of a scene alike."
        )
    return factor
