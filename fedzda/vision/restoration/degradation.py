"""Degradation pools: pairs for super-resolution from clean images alone.

Blur, resize, noise and JPEG with random settings, once or several times over; then the last resize
to the small size and a filter that rings, before or after the last JPEG. All draws come from the
generator given, one image after the other.

C channels, H height, W width.
"""

from __future__ import annotations

import io
import math

import numpy as np
import torch
from PIL import Image
from torch.nn import functional

from fedzda.base import UserError
from fedzda.vision.metrics.colour import grey
from fedzda.vision.restoration.degradation_config import DegradationConfig, Order, Range, Shares
from fedzda.vision.restoration.imresize import imresize, rounded
from fedzda.vision.restoration.kernels import GaussianBlur, blur_down
from fedzda.vision.restoration.noise import normal, poisson_gaussian, random_shot_read


class DegradationPool:
    """Makes small images.

    Args:
        config: What can happen, and how strongly.
    """

    def __init__(self, config: DegradationConfig) -> None:
        self.config = config

    def __call__(self, large_CHW: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
        """The small image ``(C, H / scale, W / scale)``, in steps of 1/255.

        Args:
            large_CHW: In [0, 1], with 1 or 3 channels; sides that are multiples of the scale.
            rng: A CPU generator.

        Raises:
            UserError: Sides that are no multiples of the scale.
        """
        scale, (height, width) = self.config.scale, large_CHW.shape[1:]
        if height % scale or width % scale:
            raise UserError(
                f"images: their height and width have to be multiples of {scale} (got "
                f"{height}x{width}). Crop them."
            )
        image = large_CHW.unsqueeze(0)
        for place in range(self.config.orders):
            last = place == self.config.orders - 1
            order = self.config.of_order(place)
            for step in self._steps(last, rng):
                image = self._step(step, image, order, (height // scale, width // scale), last, rng)
        return rounded(image)[0]

    def _steps(self, last: bool, rng: torch.Generator) -> list[str]:
        """Names of the steps of one order, in their order."""
        steps = ["blur", "resize", "noise", "jpeg"]
        if self.config.shuffle:
            steps = [steps[place] for place in torch.randperm(4, generator=rng)]
        if last:
            steps.insert(3 if _chance(self.config.sinc_before_jpeg, rng) else 4, "finish")
        return steps

    def _step(
        self,
        step: str,
        image: torch.Tensor,
        order: Order,
        small: tuple[int, int],
        last: bool,
        rng: torch.Generator,
    ) -> torch.Tensor:
        if step == "blur" and order.blur and _chance(order.blur_share, rng):
            return _filtered(image, self._kernel(order.blur, rng))
        if step == "resize":
            base = small if last else (image.shape[2], image.shape[3])
            return self._resized(image, _random_size(base, order, rng), rng)
        if step == "noise":
            return self._noisy(image, order, rng)
        if step == "jpeg" and order.jpeg and _chance(self.config.jpeg_share, rng):
            return jpeg(image, round(_between(order.jpeg, rng)))
        if step == "finish":
            image = self._resized(image, small, rng)
            if _chance(self.config.sinc, rng):
                return _filtered(image, _sinc(self.config.kernel_side, rng))
        return image

    def _kernel(self, sigmas: Range, rng: torch.Generator) -> torch.Tensor:
        first = second = _between(sigmas, rng)
        if _chance(self.config.anisotropic, rng):
            second = _between(sigmas, rng)
        angle = math.pi * torch.rand(1, generator=rng).item()
        return GaussianBlur(first, second, angle).kernel(self.config.kernel_side)

    def _resized(
        self, image: torch.Tensor, size: tuple[int, int], rng: torch.Generator
    ) -> torch.Tensor:
        """The image at another size, by an interpolation that is drawn; untouched at its own."""
        height, width = image.shape[2:]
        if (height, width) == size:
            return image
        kinds, antialias = self.config.resizers, self.config.antialias
        kind = kinds[int(torch.randint(len(kinds), (1,), generator=rng))]
        scale = self.config.scale
        exact = (height, width) == (size[0] * scale, size[1] * scale)
        if kind == "bicubic" and antialias and exact:
            return imresize(image, 1 / scale)
        if kind == "area":
            return functional.interpolate(image, size=size, mode="area")
        return functional.interpolate(image, size=size, mode=kind, antialias=antialias)

    def _noisy(self, image: torch.Tensor, order: Order, rng: torch.Generator) -> torch.Tensor:
        """With noise, clipped as a file keeps it."""
        if _chance(self.config.poisson, rng):
            return self._with_poisson(image, order, rng).clamp(0, 1)
        if order.gaussian:
            return self._with_gaussian(image, order.gaussian, rng).clamp(0, 1)
        return image

    def _with_poisson(
        self, image: torch.Tensor, order: Order, rng: torch.Generator
    ) -> torch.Tensor:
        if not order.poisson_scale:
            shot, read = random_shot_read(rng)
            return poisson_gaussian(image, shot, read, rng)
        factor = _between(order.poisson_scale, rng)
        light = rounded(grey(image) if _chance(self.config.grey, rng) else image)
        levels = self.config.poisson_levels or 2 ** math.ceil(math.log2(len(torch.unique(light))))
        # Drawn on the CPU: the same on every device.
        photons = torch.poisson((light * levels).cpu(), generator=rng).to(image)
        return image + factor * (photons / levels - light)

    def _with_gaussian(
        self, image: torch.Tensor, sigmas: Range, rng: torch.Generator
    ) -> torch.Tensor:
        sigma, channels = _between(sigmas, rng) / 255, image.shape[1]
        draw = torch.rand(1, generator=rng).item()
        noise = normal(image, rng)
        if draw < self.config.grey:
            noise = noise[:, :1].expand_as(noise)
        elif draw < self.config.grey + self.config.correlated:
            mix = torch.randn(channels, channels, generator=rng).to(image)
            mix = mix / mix.norm(dim=1, keepdim=True)
            noise = torch.einsum("ij,njhw->nihw", mix, noise)
        return image + sigma * noise


def jpeg(images_NCHW: torch.Tensor, quality: int) -> torch.Tensor:
    """Images as JPEG of a quality (1 to 100) leaves them; 1 or 3 channels in [0, 1]."""
    return torch.stack([_jpeg(image, quality) for image in images_NCHW])


def _jpeg(image_CHW: torch.Tensor, quality: int) -> torch.Tensor:
    pixels = (image_CHW.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).cpu().numpy()
    with io.BytesIO() as buffer:
        picture = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
        picture.save(buffer, format="JPEG", quality=quality)
        read = np.asarray(Image.open(buffer), dtype=np.float32) / 255
    again: torch.Tensor = torch.from_numpy(read.reshape(pixels.shape)).permute(2, 0, 1)
    return again.to(image_CHW)


def _chance(share: float, rng: torch.Generator) -> bool:
    return torch.rand(1, generator=rng).item() < share


def _between(ends: Range, rng: torch.Generator) -> float:
    return ends[0] + (ends[1] - ends[0]) * torch.rand(1, generator=rng).item()


def _random_size(base: tuple[int, int], order: Order, rng: torch.Generator) -> tuple[int, int]:
    """A size times the order's random factor, one pixel or more."""
    if not order.resize:
        return base
    factor = _factor(order.resize, order.resize_shares, rng)
    return max(round(base[0] * factor), 1), max(round(base[1] * factor), 1)


def _factor(ends: Range, shares: Shares | None, rng: torch.Generator) -> float:
    if shares is None:
        return _between(ends, rng)
    larger, smaller, _ = shares
    draw = torch.rand(1, generator=rng).item()
    if draw < larger:
        return _between([1.0, ends[1]], rng)
    return _between([ends[0], 1.0], rng) if draw < larger + smaller else 1.0


def _filtered(image: torch.Tensor, kernel_KK: torch.Tensor) -> torch.Tensor:
    """Blurred; a kernel larger than the image can be reflected into is cut."""
    spare = (len(kernel_KK) - 1) // 2 - (min(image.shape[2:]) - 1)
    if spare > 0:
        kernel_KK = kernel_KK[spare:-spare, spare:-spare]
    return blur_down(image, kernel_KK / kernel_KK.sum(), 1)


def _sinc(side: int, rng: torch.Generator) -> torch.Tensor:
    """Circular low-pass filter with a cutoff between pi / 3 and pi (Wang et al. 2021, eq. 5)."""
    cutoff = math.pi * _between([1 / 3, 1.0], rng)
    place = torch.arange(side, dtype=torch.float64) - (side - 1) / 2
    radius = torch.hypot(place.unsqueeze(1), place).clamp(min=1e-9)
    kernel: torch.Tensor = cutoff * torch.special.bessel_j1(cutoff * radius)
    kernel = kernel / (2 * math.pi * radius)
    return kernel / kernel.sum()
