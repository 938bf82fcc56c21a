"""Pairs for super-resolution from a camera's own images (RealSR: Ji, Cao, Tai, Wang, Li, Huang,
CVPRW 2020).

The source is cleaned by shrinking it; its estimated kernels and its own noise make the small
images.

C channels, H height, W width.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from fedzda.base import UserError
from fedzda.vision.restoration.imresize import imresize, rounded
from fedzda.vision.restoration.kernels import GaussianBlur, blur_down
from fedzda.vision.restoration.noise_pool import add_noise


def clean_up(source_CHW: torch.Tensor, scale: int, shrink: float = 0.5) -> torch.Tensor:
    """A large image with less noise and blur: the source shrunk, cropped to multiples of scale.

    Args:
        source_CHW: In [0, 1].
        scale: Factor of the super-resolution.
        shrink: Factor of the clean-up; RealSR takes one half.

    Raises:
        UserError: Nothing is left.
    """
    image = rounded(imresize(source_CHW.unsqueeze(0), shrink))[0]
    height, width = (extent // scale * scale for extent in image.shape[1:])
    if not height or not width:
        raise UserError(
            f"images: after shrinking by {shrink:g} they need {scale} pixels on each side (got "
            f"{image.shape[1]}x{image.shape[2]}). Use larger images."
        )
    return image[:, :height, :width]


class EstimatedDegradation:
    """What one camera does to a clean image, as far as its images tell.

    Args:
        scale: Factor between large and small images.
        kernels: Estimated blurs, of which each image draws one; none: bicubic (track 1).
        noise_pool: Flat patches ``(M, C, S, S)`` of the camera; None: no noise.
        kernel_side: Pixels on each side of a kernel; its difference to the scale is even.
    """

    def __init__(
        self,
        scale: int,
        kernels: Sequence[GaussianBlur] = (),
        noise_pool: torch.Tensor | None = None,
        kernel_side: int = 24,
    ) -> None:
        self.scale, self.noise_pool = scale, noise_pool
        self.kernels = [blur.kernel(kernel_side) for blur in kernels]

    def __call__(self, large_CHW: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
        """The small image ``(C, H / scale, W / scale)`` in [0, 1].

        Raises:
            UserError: Sides that do not fit the scale, or channels that do not fit the noise.
        """
        image = large_CHW.unsqueeze(0)
        if self.kernels:
            which = int(torch.randint(len(self.kernels), (1,), generator=rng))
            small = blur_down(image, self.kernels[which], self.scale)
        else:
            small = imresize(image, 1 / self.scale)
        if self.noise_pool is not None:
            small = add_noise(small, self.noise_pool, rng)
        return small.clamp(0, 1)[0]
