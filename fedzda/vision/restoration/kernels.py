"""Blur kernels of super-resolution, and blurring with every s-th pixel kept.

A small pixel covers s x s large ones, so its centre lies between large pixels where s is even.
Kernels therefore have an even side for an even scale and an odd one for an odd scale; then the
small image is not shifted against the large one, as with ``imresize``.

N images, C channels, H height, W width, K side of a kernel.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch.nn import functional

from fedzda.base import UserError


@dataclass(frozen=True)
class GaussianBlur:
    """An anisotropic Gaussian, in pixels of the large image.

    Attributes:
        wide: Standard deviation along the direction ``angle``; above 0.
        narrow: Standard deviation across it; above 0.
        angle: Direction in radians, from the x axis (right) towards the y axis (down).
    """

    wide: float
    narrow: float
    angle: float = 0.0

    def covariance(self) -> torch.Tensor:
        """Float64 ``(2, 2)``, in the order x, y."""
        cos, sin = math.cos(self.angle), math.sin(self.angle)
        turn = torch.tensor([[cos, -sin], [sin, cos]], dtype=torch.float64)
        return turn @ torch.tensor([self.wide, self.narrow]).double().square().diag() @ turn.T

    def kernel(self, side: int) -> torch.Tensor:
        """Float64 ``(K, K)``, sum 1."""
        place = torch.arange(side, dtype=torch.float64) - (side - 1) / 2
        grid = torch.stack(torch.meshgrid(place, place, indexing="xy"), dim=-1)
        inverse = torch.linalg.inv(self.covariance())
        kernel = torch.exp(-0.5 * torch.einsum("hwi,ij,hwj->hw", grid, inverse, grid))
        return kernel / kernel.sum()


def from_covariance(covariance_22: torch.Tensor) -> GaussianBlur:
    """The Gaussian of a covariance ``(2, 2)`` (x, y) in pixels²."""
    values, vectors = torch.linalg.eigh(covariance_22.double())
    narrow, wide = values.clamp(min=1e-6).sqrt().tolist()
    x, y = vectors[:, 1].tolist()
    return GaussianBlur(wide, narrow, math.atan2(y, x) % math.pi)


def moments(kernel_KK: torch.Tensor) -> GaussianBlur:
    """The Gaussian with the second moments of a kernel, whose sum is not 0."""
    side = len(kernel_KK)
    place = torch.arange(side, dtype=torch.float64, device=kernel_KK.device)
    share = kernel_KK.double() / kernel_KK.double().sum()
    x, y = place.expand(side, side), place.unsqueeze(1).expand(side, side)
    x, y = x - (share * x).sum(), y - (share * y).sum()
    rows = [[(share * a * b).sum() for b in (x, y)] for a in (x, y)]
    return from_covariance(torch.tensor([[float(value) for value in row] for row in rows]))


def blur_down(images_NCHW: torch.Tensor, kernel_KK: torch.Tensor, scale: int) -> torch.Tensor:
    """Images filtered with a kernel, one of every ``scale`` pixels along each axis kept.

    Args:
        images_NCHW: Sides that are multiples of ``scale``; edges are reflected, so they are larger
            than half of K - scale.
        kernel_KK: K - scale is even and not negative.
        scale: 1 only blurs.

    Raises:
        UserError: The kernel's side or the images' do not fit the scale.
    """
    n, c, height, width = images_NCHW.shape
    side = len(kernel_KK)
    if (side - scale) % 2 or side < scale:
        raise UserError(
            f"kernel: its side needs to be {scale} plus an even number at scale {scale} (got "
            f"{side}). Add or cut a row and a column."
        )
    if height % scale or width % scale:
        raise UserError(
            f"images: their height and width have to be multiples of {scale} (got "
            f"{height}x{width}). Crop them."
        )
    reach = (side - scale) // 2
    if min(height, width) <= reach:
        raise UserError(
            f"images: a kernel of {side} pixels at scale {scale} needs more than {reach} pixels on "
            f"each side (got {height}x{width}). Use larger images or a smaller kernel."
        )
    # The kernel is turned by half, since a convolution is meant and conv2d is a correlation.
    weight = kernel_KK.flip(0, 1).to(images_NCHW).view(1, 1, side, side)
    flat = images_NCHW.reshape(n * c, 1, height, width)
    flat = functional.pad(flat, (reach,) * 4, mode="reflect")
    return functional.conv2d(flat, weight, stride=scale).view(n, c, height // scale, width // scale)
