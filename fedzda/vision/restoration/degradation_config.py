"""Configuration of degradation pools (imports no torch).

Presets follow public recipes where they are known; the rest is our choice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from fedzda.base import StrictConfig

Resizer = Literal["bicubic", "bilinear", "area"]
Preset = Literal["bicubic", "generic", "bsrgan", "real-esrgan"]
Range = Annotated[list[float], Field(min_length=2, max_length=2)]
Share = Annotated[float, Field(ge=0, le=1)]
Shares = Annotated[list[Share], Field(min_length=3, max_length=3)]

PRESETS: dict[str, dict[str, Any]] = {
    "bicubic": {},
    "generic": {
        "blur": [0.2, 3.0],
        "resizers": ["bicubic", "bilinear", "area"],
        "gaussian": [0.0, 25.0],
        "poisson": 0.5,
        "jpeg": [30.0, 95.0],
    },
    "bsrgan": {
        "blur": [0.2, 3.0],
        "resizers": ["bicubic", "bilinear", "area"],
        "gaussian": [2.0, 25.0],
        "grey": 0.4,
        "correlated": 0.2,
        "jpeg": [30.0, 95.0],
        "jpeg_share": 0.9,
        "shuffle": True,
    },
    "real-esrgan": {
        "orders": 2,
        "blur": [[0.2, 3.0], [0.2, 1.5]],
        "blur_share": [1.0, 0.8],
        "anisotropic": 0.31,
        "resizers": ["bicubic", "bilinear", "area"],
        "antialias": False,
        "resize": [[0.15, 1.5], [0.3, 1.2]],
        "resize_shares": [[0.2, 0.7, 0.1], [0.3, 0.4, 0.3]],
        "gaussian": [[1.0, 30.0], [1.0, 25.0]],
        "poisson": 0.5,
        "poisson_scale": [[0.05, 3.0], [0.05, 2.5]],
        "grey": 0.4,
        "jpeg": [30.0, 95.0],
        "sinc": 0.8,
        "sinc_before_jpeg": 0.5,
    },
}
"""``generic`` is the pool of our reconstruction of the Samsung entry. ``bsrgan`` (Zhang et al.
2021, arXiv 2103.14006) holds the main ranges of its paper. ``real-esrgan`` (Wang et al. 2021, arXiv
2107.10833) has the numbers of the public ``train_realesrnet_x4plus.yml``; its generalised,
plateau-shaped and sinc blurs and the sharpened target are left out, and kernels always have
``kernel_side`` pixels (public: 7 to 21)."""

_DEPTH = {
    "blur": 2,
    "blur_share": 1,
    "resize": 2,
    "resize_shares": 2,
    "gaussian": 2,
    "poisson_scale": 2,
    "jpeg": 2,
}
"""Settings that may differ between orders, and how deep lists are nested where they do."""

_LOWEST = {"blur": 0.05, "resize": 0.05, "gaussian": 0.0, "poisson_scale": 0.0, "jpeg": 1.0}
"""Smallest allowed end of every range."""


@dataclass(frozen=True)
class Order:
    """Settings of one order; see the fields of :class:`DegradationConfig` of the same names."""

    blur: Range | None
    blur_share: float
    resize: Range | None
    resize_shares: Shares | None
    gaussian: Range | None
    poisson_scale: Range | None
    jpeg: Range | None


class DegradationConfig(StrictConfig):
    """How large, clean images become small, bad ones.

    Ranges are two numbers for all orders, ``[0.2, 3.0]``, or one such pair per order,
    ``[[0.2, 3.0], [0.2, 1.5]]``.
    """

    preset: Preset = "bicubic"
    """Settings of keys that are left out: bicubic (nothing but shrinking), generic, bsrgan or
    real-esrgan."""
    scale: Literal[1, 2, 3, 4] = 4
    """Factor between large and small images."""
    orders: int = Field(default=1, ge=1)
    """How many times blur, resize, noise and JPEG follow one another."""
    blur: Range | list[Range] | None = None
    """Smallest and largest standard deviation of Gaussian blur, in pixels, for all orders or one
    pair per order; left out: no blur."""
    blur_share: Share | list[Share] = 1.0
    """Share of images that are blurred, for all orders or one number per order."""
    anisotropic: float = Field(default=0.5, ge=0, le=1)
    """Share of kernels with two unequal widths and a random direction."""
    kernel_side: int = Field(default=21, ge=3)
    """Pixels on each side of a kernel; an odd number."""
    resizers: list[Resizer] = Field(default=["bicubic"], min_length=1)
    """Interpolations, of which each resize draws one."""
    antialias: bool = True
    """Shrinking averages over all old pixels; without it bicubic and bilinear see their nearest
    ones only, as the public code of Real-ESRGAN does."""
    resize: Range | list[Range] | None = None
    """Smallest and largest factor of the random resize, for all orders or one pair per order. It
    is a factor on the size at hand, in the last order on the small size, to which the image is
    brought at the end in any case. Left out: no resize but that of the last order, straight to the
    small size."""
    resize_shares: Shares | list[Shares] | None = None
    """Shares of images that the random resize enlarges, shrinks and keeps, for all orders or three
    numbers per order; left out: factors are uniform over the range."""
    gaussian: Range | list[Range] | None = None
    """Smallest and largest standard deviation of Gaussian noise, on the scale 0 to 255, for all
    orders or one pair per order; left out: no Gaussian noise."""
    poisson: float = Field(default=0.0, ge=0, le=1)
    """Share of noise that depends on the light instead, as ``poisson_scale`` says."""
    poisson_scale: Range | list[Range] | None = None
    """Smallest and largest factor on Poisson noise of ``poisson_levels`` photons, for all orders or
    one pair per order; left out: Poisson-Gaussian noise with shot and read of a random raw
    camera."""
    poisson_levels: int = Field(default=256, ge=0)
    """Photons of a white pixel at ``poisson_scale`` 1; 0: the next power of two from the number of
    distinct values of the image, as the public code of Real-ESRGAN does, where a flat patch drowns
    in noise (256 for most images: our choice for all)."""
    grey: float = Field(default=0.0, ge=0, le=1)
    """Share of Gaussian noise, and of Poisson noise with ``poisson_scale``, that is alike in all
    channels."""
    correlated: float = Field(default=0.0, ge=0, le=1)
    """Share of Gaussian noise whose channels have a random correlation."""
    jpeg: Range | list[Range] | None = None
    """Smallest and largest quality of JPEG (1 to 100), for all orders or one pair per order; left
    out: none."""
    jpeg_share: float = Field(default=1.0, ge=0, le=1)
    """Share of the images of every order that JPEG is applied to."""
    shuffle: bool = False
    """Blur, resize, noise and JPEG in random order, anew for every image and order."""
    sinc: float = Field(default=0.0, ge=0, le=1)
    """Share of images with a final low-pass filter that rings."""
    sinc_before_jpeg: float = Field(default=0.0, ge=0, le=1)
    """Share of images whose last resize and final low-pass filter come before the last JPEG, not
    after it; the public code of Real-ESRGAN has one half."""

    def of_order(self, order: int) -> Order:
        """Settings of one order, counted from 0 and below ``orders``."""
        found = {}
        for name in _DEPTH:
            value = getattr(self, name)
            found[name] = value[order] if _is_per_order(name, value) else value
        return Order(**found)

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, given: Any) -> Any:
        """A preset's settings stand where a key is left out."""
        if not isinstance(given, dict):
            return given
        preset = dict(PRESETS.get(str(given.get("preset", "bicubic")), {}))
        orders = given.get("orders", preset.get("orders", 1))
        if isinstance(orders, int) and orders >= 1:
            for name in _DEPTH.keys() & preset.keys():
                if _is_per_order(name, preset[name]):
                    preset[name] = _fitted(preset[name], orders)
        # Neither has a meaning beside the user's own choice.
        if "resize" in given:
            preset.pop("resize_shares", None)
        if given.get("shuffle"):
            preset.pop("sinc_before_jpeg", None)
        return {**preset, **given}

    @model_validator(mode="after")
    def _sensible(self) -> DegradationConfig:
        if self.kernel_side % 2 == 0:
            raise ValueError(f"kernel_side has to be odd (got {self.kernel_side}); add 1")
        for name in _DEPTH:
            value = getattr(self, name)
            if _is_per_order(name, value) and len(value) != self.orders:
                raise ValueError(
                    f"{name} has settings for {len(value)} orders (orders is {self.orders}); give "
                    "as many, or one setting for all"
                )
        for order in range(self.orders):
            _check_order(self.of_order(order))
        if self.grey + self.correlated > 1:
            raise ValueError(
                f"grey and correlated are shares of one noise (got {self.grey:g} and "
                f"{self.correlated:g}); lower one of them"
            )
        if self.shuffle and self.sinc_before_jpeg:
            raise ValueError(
                "sinc_before_jpeg needs JPEG at the end of an order, and shuffle is true (got "
                f"{self.sinc_before_jpeg:g}); set it to 0, or shuffle to false"
            )
        return self


def _is_per_order(name: str, value: Any) -> bool:
    """Whether a setting has one value for every order."""
    if _DEPTH[name] == 1:
        return isinstance(value, list)
    return isinstance(value, list) and (not value or isinstance(value[0], list))


def _fitted(values: list[Any], orders: int) -> list[Any]:
    """A preset's values for another number of orders: the first ones, the last one repeated."""
    return [values[min(order, len(values) - 1)] for order in range(orders)]


def _check_order(order: Order) -> None:
    """Ranges ascend and lie where they have a meaning; shares have the sum 1.

    Raises:
        ValueError: They do not.
    """
    for name, low in _LOWEST.items():
        ends = getattr(order, name)
        if ends is not None and not low <= ends[0] <= ends[1]:
            raise ValueError(
                f"{name} needs two numbers in ascending order, from {low:g} on (got {ends})"
            )
    if order.jpeg is not None and order.jpeg[1] > 100:
        raise ValueError(f"jpeg goes up to 100 (got {order.jpeg[1]:g})")
    if order.resize_shares is None:
        return
    if abs(sum(order.resize_shares) - 1) > 1e-6:
        raise ValueError(
            f"resize_shares have the sum 1 (got {order.resize_shares}); change one of them"
        )
    if order.resize is None or not order.resize[0] <= 1 <= order.resize[1]:
        raise ValueError(
            f"resize_shares need a resize from below 1 to above 1 (got {order.resize}); give such "
            "a range, or leave resize_shares out"
        )
