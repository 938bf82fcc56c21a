"""A camera there and back: developed photographs to raw mosaics, and raw to developed.

Brooks, Mildenhall, Xue, Chen, Sharlet, Barron, *Unprocessing Images for Learned Raw Denoising*,
CVPR 2019, arXiv 1811.11127, section 3: smooth-step tone curve, gamma of 2.2, colour matrix, white
balance, mosaic. Every step is inverted in turn.

N images, H height, W width.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch.nn import functional

from fedzda.base import UserError
from fedzda.vision.restoration.bayer import offset, pack, unify, unpack

_GAMMA = 2.2
_DARK = 1e-8
_HIGHLIGHT = 0.9
_SRGB_TO_XYZ = (
    (0.4124564, 0.3575761, 0.1804375),
    (0.2126729, 0.7151522, 0.0721750),
    (0.0193339, 0.1191920, 0.9503041),
)
_XYZ_TO_CAMERAS = (
    ((1.0234, -0.2969, -0.2266), (-0.5625, 1.6328, -0.0469), (-0.0703, 0.2188, 0.6406)),
    ((0.4913, -0.0541, -0.0202), (-0.6130, 1.3513, 0.2906), (-0.1564, 0.2151, 0.7183)),
    ((0.8380, -0.2630, -0.0639), (-0.2887, 1.0725, 0.2496), (-0.0627, 0.1427, 0.5438)),
    ((0.6596, -0.2079, -0.0562), (-0.4782, 1.3016, 0.1933), (-0.0970, 0.1581, 0.5181)),
)
"""Colour matrices of four cameras, as their DNG files give them."""


@dataclass(frozen=True)
class Camera:
    """What turns one camera's raw values into colours.

    Attributes:
        matrix: ``(3, 3)`` sRGB (linear) to camera colours, rows with sum 1.
        red: White balance gain of red over green.
        blue: White balance gain of blue over green.
        exposure: Gain on all colours.
    """

    matrix: torch.Tensor
    red: float
    blue: float
    exposure: float

    def gains(self, like: torch.Tensor) -> torch.Tensor:
        """Factors from raw to balanced colours, ``(1, 3, 1, 1)``."""
        return self.exposure * like.new_tensor([self.red, 1.0, self.blue]).view(1, 3, 1, 1)


def random_camera(rng: torch.Generator) -> Camera:
    """A camera by the distributions of the paper: a mixture of four colour matrices, exposure gain
    1 / N(0.8, 0.1²), red gain U(1.9, 2.4), blue gain U(1.5, 1.9)."""
    shares = torch.rand(len(_XYZ_TO_CAMERAS), generator=rng)
    mixture = torch.einsum("k,kij->ij", shares / shares.sum(), torch.tensor(_XYZ_TO_CAMERAS))
    matrix = mixture @ torch.tensor(_SRGB_TO_XYZ)
    red, blue = torch.rand(2, generator=rng).tolist()
    exposure = 0.8 + 0.1 * torch.randn(1, generator=rng).item()
    return Camera(
        matrix / matrix.sum(dim=1, keepdim=True),
        red=1.9 + 0.5 * red,
        blue=1.5 + 0.4 * blue,
        # Ten deviations from the mean would be no camera; the bound keeps the gain finite.
        exposure=1 / max(exposure, 0.4),
    )


def unprocess(images_N3HW: torch.Tensor, camera: Camera, pattern: str = "rggb") -> torch.Tensor:
    """Linear mosaics ``(N, 1, H, W)`` in [0, 1] that ``camera`` would develop into the images.

    Args:
        images_N3HW: sRGB in [0, 1], even sides.
        camera: The camera.
        pattern: Its Bayer pattern.

    Raises:
        UserError: Not three channels, an odd side or an unknown pattern.
    """
    _check_colours(images_N3HW)
    x = 0.5 - torch.sin(torch.asin(1 - 2 * images_N3HW.clamp(0, 1)) / 3)
    x = x.clamp(min=_DARK) ** _GAMMA
    x = torch.einsum("ij,njhw->nihw", camera.matrix.to(x), x)
    x = _unbalanced(x, camera.gains(x))
    return mosaic(x.clamp(0, 1), pattern)


def _unbalanced(x_N3HW: torch.Tensor, gains: torch.Tensor) -> torch.Tensor:
    """Divided by the gains, highlights little: raw ones are near 1 in all colours."""
    inverse = 1 / gains
    bright = x_N3HW.mean(dim=1, keepdim=True)
    mask = ((bright - _HIGHLIGHT).clamp(min=0) / (1 - _HIGHLIGHT)).square()
    return x_N3HW * torch.maximum(mask + (1 - mask) * inverse, inverse)


def mosaic(images_N3HW: torch.Tensor, pattern: str = "rggb") -> torch.Tensor:
    """One colour per pixel, ``(N, 1, H, W)``.

    Raises:
        UserError: Not three channels, an odd side or an unknown pattern.
    """
    _check_colours(images_N3HW)
    rows, columns = offset(pattern, "rggb")
    shifted = images_N3HW.roll((-rows, -columns), dims=(2, 3))
    red, green, blue = shifted[:, 0], shifted[:, 1], shifted[:, 2]
    quads = [red[:, ::2, ::2], green[:, ::2, 1::2], green[:, 1::2, ::2], blue[:, 1::2, 1::2]]
    return unpack(torch.stack(quads, dim=1)).roll((rows, columns), dims=(2, 3))


def _check_colours(images_N3HW: torch.Tensor) -> None:
    channels, height, width = images_N3HW.shape[1:]
    if channels != 3 or height % 2 or width % 2:
        raise UserError(
            "camera: an image that becomes a mosaic has 3 channels and an even height and width "
            f"(got {channels} of {height}x{width}). Use colour images, and cut off an odd row or "
            "column."
        )


def demosaic(mosaics_N1HW: torch.Tensor, pattern: str = "rggb") -> torch.Tensor:
    """Bilinear colours ``(N, 3, H, W)``: every missing value is the mean of its neighbours."""
    return _spread(mosaics_N1HW, pattern, power=1)


def _spread(mosaics_N1HW: torch.Tensor, pattern: str, power: int) -> torch.Tensor:
    """Sums of neighbours with the bilinear weights to a power: values at 1, variances at 2."""
    unified = unify(mosaics_N1HW, pattern, "rggb", pad=True)
    planes = pack(unified.mosaics)
    empty = torch.zeros_like(planes[:, :1])
    red, green_red, green_blue, blue = planes.chunk(4, dim=1)
    colours = [
        unpack(torch.cat([red, empty, empty, empty], dim=1)),
        unpack(torch.cat([empty, green_red, green_blue, empty], dim=1)),
        unpack(torch.cat([empty, empty, empty, blue], dim=1)),
    ]
    cross = mosaics_N1HW.new_tensor([[0, 1, 0], [1, 4, 1], [0, 1, 0]]) / 4
    square = mosaics_N1HW.new_tensor([[1, 2, 1], [2, 4, 2], [1, 2, 1]]) / 4
    kernels = torch.stack([square, cross, square]).unsqueeze(1) ** power
    # Reflection keeps the places of the colours, so borders are means of real values as well.
    edges = functional.pad(torch.cat(colours, dim=1), (1, 1, 1, 1), mode="reflect")
    return unified.undo(functional.conv2d(edges, kernels, groups=3))


def process(mosaics_N1HW: torch.Tensor, camera: Camera, pattern: str = "rggb") -> torch.Tensor:
    """Developed sRGB images ``(N, 3, H, W)`` in [0, 1] of linear mosaics."""
    x = demosaic(mosaics_N1HW, pattern)
    x = _clipped(x * camera.gains(x))
    return _toned(torch.einsum("ij,njhw->nihw", _to_srgb(camera, x), x))


def developed_deviation(
    mosaics_N1HW: torch.Tensor, variance_N1HW: torch.Tensor, camera: Camera, pattern: str = "rggb"
) -> torch.Tensor:
    """Standard deviation ``(N, 3, H, W)`` of the noise that :func:`process` leaves in its images.

    The colours of a pixel come from different pixels of the mosaic, so that variances add up
    exactly as far as development is linear. Clipping and tone curve count with half of what they
    make of one deviation up and one down, which stays finite in the dark, where the curve's slope
    does not (our choice).

    Args:
        mosaics_N1HW: Linear mosaics in [0, 1]; noisy ones will do.
        variance_N1HW: Variance of each of their pixels, whose noise is independent.
        camera: The camera.
        pattern: Its Bayer pattern.
    """
    x = demosaic(mosaics_N1HW, pattern)
    gains = camera.gains(x)
    x, deviation = x * gains, _spread(variance_N1HW, pattern, power=2).sqrt() * gains
    x, deviation = _clipped(x), _through(_clipped, x, deviation)
    inverse = _to_srgb(camera, x)
    mixed = torch.einsum("ij,njhw->nihw", inverse.square(), deviation.square())
    return _through(_toned, torch.einsum("ij,njhw->nihw", inverse, x), mixed.sqrt())


def _through(
    curve: Callable[[torch.Tensor], torch.Tensor], x: torch.Tensor, deviation: torch.Tensor
) -> torch.Tensor:
    """The deviation behind a rising curve."""
    return (curve(x + deviation) - curve(x - deviation)) / 2


def _clipped(x: torch.Tensor) -> torch.Tensor:
    return x.clamp(0, 1)


def _to_srgb(camera: Camera, like: torch.Tensor) -> torch.Tensor:
    """``(3, 3)`` camera colours to linear sRGB."""
    inverse: torch.Tensor = torch.linalg.inv(camera.matrix.double()).to(like)
    return inverse


def _toned(x: torch.Tensor) -> torch.Tensor:
    """Gamma and the smooth-step tone curve."""
    x = x.clamp(_DARK, 1) ** (1 / _GAMMA)
    toned: torch.Tensor = 3 * x**2 - 2 * x**3
    return toned
