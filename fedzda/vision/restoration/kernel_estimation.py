"""The blur of a camera from its images alone, as an anisotropic Gaussian.

Our choice, in the place of KernelGAN (Bell-Kligler et al. 2019), which is unstable and takes
minutes per image. Photographs of many scenes have much the same power spectrum. That of clean ones,
times the power of the kernel, folded as subsampling folds it, plus white noise, is fitted to the
spectrum of the small images: five numbers, by least squares of logarithms. Needs images of several
scenes, and clean ones that show the same kind of scenes at ``scale`` times the resolution.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from fedzda.base import UserError
from fedzda.vision.metrics.colour import grey
from fedzda.vision.restoration.kernels import GaussianBlur, from_covariance

_PATCH = 32
_LOWEST = 1.5 / _PATCH
"""Lower frequencies are left out: the window spreads the mean of a patch over them."""
_FLOOR = 1e-12
"""Smallest power that is told from none: rounding to 8 bits leaves a million times as much. Images
without any structure, black ones for example, so have a logarithm."""


@dataclass(frozen=True)
class Estimate:
    """What was found.

    Attributes:
        blur: The kernel, in pixels of the large image.
        noise: Standard deviation of the white noise of grey values in [0, 1].
        error: Root mean square of what the fit leaves of the log spectrum.
    """

    blur: GaussianBlur
    noise: float
    error: float


def power_spectrum(images: Iterable[torch.Tensor], side: int) -> torch.Tensor:
    """Mean power of windowed patches of grey values, float64 ``(side, side)``, frequency 0 first.

    Args:
        images: ``(C, H, W)`` in [0, 1].
        side: Side of the patches, which overlap by half.

    Raises:
        UserError: No image has ``side`` pixels on both sides.
    """
    hann = torch.hann_window(side, dtype=torch.float64)
    window = hann.unsqueeze(1) * hann
    total, count = torch.zeros(side, side, dtype=torch.float64), 0
    for image in images:
        shade = grey(image.unsqueeze(0).double())[0, 0]
        if min(shade.shape) < side:
            continue
        cuts = shade.unfold(0, side, side // 2).unfold(1, side, side // 2).reshape(-1, side, side)
        cuts = cuts - cuts.mean(dim=(1, 2), keepdim=True)
        total += torch.fft.fft2(cuts * window).abs().square().sum(0)
        count += len(cuts)
    if not count:
        raise UserError(
            f"images: a spectrum needs images of {side} pixels on each side (got none)."
        )
    return total / count / window.square().sum()


def estimate_blur(
    small: Iterable[torch.Tensor], clean_power: torch.Tensor, scale: int, widest: float = 4.0
) -> Estimate:
    """The Gaussian that turns photographs like the clean ones into images like the small ones.

    Args:
        small: A camera's images ``(C, H, W)`` in [0, 1]; they never leave this function.
        clean_power: :func:`power_spectrum` of clean images with patches of ``32 * scale`` pixels.
        scale: Factor between small and clean images.
        widest: Largest standard deviation in pixels of the clean images that is looked for.

    Returns:
        Finite numbers in any case; of images without structure they mean nothing.

    Raises:
        UserError: The spectrum has another size, or all images are below 32 pixels.
    """
    if len(clean_power) != _PATCH * scale:
        raise UserError(
            f"clean_power: at scale {scale} it needs {_PATCH * scale} frequencies along each axis "
            f"(got {len(clean_power)}). Compute it with side={_PATCH * scale}."
        )
    target = power_spectrum(small, _PATCH).numpy()
    model = _Model(clean_power.numpy(), target, scale, widest)
    return model.fit()


class _Model:
    """Predicted and measured log spectrum.

    Args:
        clean: Power of clean images.
        target: Power of small images.
        scale: Factor between them.
        widest: Largest standard deviation.
    """

    def __init__(
        self, clean: NDArray[np.float64], target: NDArray[np.float64], scale: int, widest: float
    ) -> None:
        frequency = np.fft.fftfreq(len(clean))
        self.x, self.y = np.meshgrid(frequency, frequency)
        self.clean, self.scale, self.widest = clean, scale, widest
        coarse = np.fft.fftfreq(_PATCH)
        self.used = np.hypot(*np.meshgrid(coarse, coarse)) > _LOWEST
        self.target = np.log(target[self.used].clip(min=_FLOOR))

    def fit(self) -> Estimate:
        """The best of several starts."""
        from scipy.optimize import least_squares  # type: ignore[import-untyped]

        level = float(self.target.min())
        widths = [math.log(sigma) for sigma in (0.4, 0.8, 1.6)]
        starts = [[width, width, 0.1, 0.0, level - 1] for width in widths]
        top = math.log(self.widest)
        bounds = (
            [math.log(0.05), math.log(0.05), -self.widest, -6.0, level - 12],
            [top, top, self.widest, 6.0, level + 0.1],
        )
        fits = [least_squares(self.residual, start, bounds=bounds) for start in starts]
        best = min(fits, key=lambda fit: float(fit.cost))
        error = math.sqrt(2 * float(best.cost) / len(self.target))
        blur = from_covariance(torch.from_numpy(_covariance(best.x)))
        return Estimate(blur, self._white(best.x), error)

    def _white(self, values: NDArray[np.float64]) -> float:
        """Deviation of the white noise, from the frequencies at which it is the larger part.

        The fit's own value lies below: its bound is the smallest of hundreds of measured powers.
        """
        signal, noise = self._parts(values)
        mostly = signal < noise
        if not mostly.any():
            return math.sqrt(noise)
        return math.sqrt(max(float((np.exp(self.target) - signal)[mostly].mean()), noise))

    def residual(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Logarithm of predicted over measured power, at every frequency used."""
        signal, noise = self._parts(values)
        return np.asarray(np.log(signal + noise) - self.target)

    def _parts(self, values: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
        """Power of the blurred scenes at every frequency used, and of the noise at each."""
        (xx, xy), (_, yy) = _covariance(values)
        form = xx * self.x**2 + 2 * xy * self.x * self.y + yy * self.y**2
        power = self.clean * np.exp(-4 * math.pi**2 * form)
        folded = power.reshape(self.scale, _PATCH, self.scale, _PATCH).sum(axis=(0, 2))
        # A patch of small pixels has scale² times less of them, which the sum over copies meets.
        signal = np.exp(values[3]) * folded / self.scale**2
        return np.asarray(signal[self.used]), float(np.exp(values[4]))


def _covariance(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Covariance from a Cholesky factor (two logarithms, one lower entry)."""
    lower = np.array([[math.exp(values[0]), 0.0], [values[2], math.exp(values[1])]])
    return np.asarray(lower @ lower.T)
