"""Simulated cameras of super-resolution: blur, fewer pixels, noise, JPEG.

A camera is a function of ``camera_seed`` and the number of the client. C channels, H height, W
width; pixels in [0, 1].
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from fedzda.base import torch_rng
from fedzda.clients.tasks.restoration_config import LensConfig
from fedzda.vision.restoration.degradation import jpeg
from fedzda.vision.restoration.imresize import rounded
from fedzda.vision.restoration.kernels import GaussianBlur, blur_down
from fedzda.vision.restoration.noise import gaussian

_SIDE = 24
"""Pixels on each side of a kernel, one less at odd scales."""


def kernel_side(scale: int) -> int:
    """Pixels on each side of the kernels of a scale: both are even, or both odd."""
    return _SIDE - scale % 2


@dataclass(frozen=True)
class Lens:
    """What one camera does.

    Attributes:
        scale: Factor between the scene and the camera's image.
        blur: In pixels of the scene.
        noise: Standard deviation on the scale 0 to 255.
        quality: Of JPEG; None: not compressed.
    """

    scale: int
    blur: GaussianBlur
    noise: float
    quality: int | None

    def __call__(self, large_CHW: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
        """The camera's image ``(C, H / scale, W / scale)``, in steps of 1/255.

        Args:
            large_CHW: The scene; sides that are multiples of the scale.
            rng: A CPU generator of the noise.
        """
        kernel = self.blur.kernel(kernel_side(self.scale))
        small = blur_down(large_CHW.unsqueeze(0), kernel, self.scale)
        small = rounded(gaussian(small, self.noise / 255, rng))
        return (small if self.quality is None else jpeg(small, self.quality))[0]


def make_lens(config: LensConfig, scale: int, seed: int, client: int) -> Lens:
    """The camera of a client.

    Args:
        config: Ranges.
        scale: Factor between scenes and images.
        seed: ``camera_seed``.
        client: Whose camera.
    """
    shares = torch.rand(5, generator=torch_rng(seed, "lens", client)).tolist()

    def between(ends: list[float], share: float) -> float:
        return ends[0] + (ends[1] - ends[0]) * share

    narrow, wide = sorted(between(config.blur, share) for share in shares[:2])
    ends = config.jpeg
    quality = None if ends is None else round(between([*map(float, ends)], shares[4]))
    blur = GaussianBlur(wide, narrow, math.pi * shares[2])
    return Lens(scale, blur, between(config.noise, shares[3]), quality)
