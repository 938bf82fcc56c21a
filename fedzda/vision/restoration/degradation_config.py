"""Configuration of degradation pools (imports no torch).

Presets follow public recipes where they are known; the rest is our choice.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from fedzda.base import StrictConfig

Resizer = Literal["bicubic", "bilinear", "area"]
Preset = Literal["bicubic", "generic", "bsrgan", "real-esrgan"]
Range = Annotated[list[float], Field(min_length=2, max_length=2)]

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
        "blur": [0.2, 3.0],
        "resizers": ["bicubic", "bilinear", "area"],
        "resize": [0.3, 1.5],
        "gaussian": [1.0, 30.0],
        "grey": 0.4,
        "poisson": 0.5,
        "jpeg": [30.0, 95.0],
        "sinc": 0.8,
    },
}
"""``generic`` is the pool of our reconstruction of the Samsung entry; ``bsrgan`` (Zhang et al.
2021, arXiv 2103.14006) and ``real-esrgan`` (Wang et al. 2021, arXiv 2107.10833) hold their main
ranges."""


class DegradationConfig(StrictConfig):
    """How large, clean images become small, bad ones."""

    preset: Preset = "bicubic"
    """Settings of keys that are left out: bicubic (nothing but shrinking), generic, bsrgan or
    real-esrgan."""
    scale: Literal[1, 2, 3, 4] = 4
    """Factor between large and small images."""
    orders: int = Field(default=1, ge=1)
    """How many times blur, resize, noise and JPEG follow one another."""
    blur: Range | None = None
    """Smallest and largest standard deviation of Gaussian blur, in pixels; left out: no blur."""
    anisotropic: float = Field(default=0.5, ge=0, le=1)
    """Share of kernels with two unequal widths and a random direction."""
    kernel_side: int = Field(default=21, ge=3)
    """Pixels on each side of a kernel; an odd number."""
    resizers: list[Resizer] = Field(default=["bicubic"], min_length=1)
    """Interpolations, of which each resize draws one."""
    resize: Range | None = None
    """Smallest and largest factor of the random resize of each order; left out: none. The last
    resize always goes to the small size."""
    gaussian: Range | None = None
    """Smallest and largest standard deviation of Gaussian noise, on the scale 0 to 255; left out:
    no noise."""
    poisson: float = Field(default=0.0, ge=0, le=1)
    """Share of noise that is Poisson-Gaussian instead, shot and read of a random camera."""
    grey: float = Field(default=0.0, ge=0, le=1)
    """Share of Gaussian noise that is alike in all channels."""
    correlated: float = Field(default=0.0, ge=0, le=1)
    """Share of Gaussian noise whose channels have a random correlation."""
    jpeg: Range | None = None
    """Smallest and largest quality of JPEG (1 to 100); left out: none."""
    jpeg_share: float = Field(default=1.0, ge=0, le=1)
    """Share of the images of every order that JPEG is applied to."""
    shuffle: bool = False
    """Blur, resize, noise and JPEG in random order, anew for every image and order."""
    sinc: float = Field(default=0.0, ge=0, le=1)
    """Share of images with a final low-pass filter that rings."""

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, given: Any) -> Any:
        """A preset's settings stand where a key is left out."""
        if not isinstance(given, dict):
            return given
        return {**PRESETS.get(str(given.get("preset", "bicubic")), {}), **given}

    @model_validator(mode="after")
    def _sensible(self) -> DegradationConfig:
        if self.kernel_side % 2 == 0:
            raise ValueError(f"kernel_side has to be odd (got {self.kernel_side}); add 1")
        for name, low in (("blur", 0.05), ("resize", 0.05), ("gaussian", 0.0), ("jpeg", 1.0)):
            ends = getattr(self, name)
            if ends is not None and not low <= ends[0] <= ends[1]:
                raise ValueError(
                    f"{name} needs two numbers in ascending order, from {low:g} on (got {ends})"
                )
        if self.jpeg is not None and self.jpeg[1] > 100:
            raise ValueError(f"jpeg goes up to 100 (got {self.jpeg[1]:g})")
        if self.grey + self.correlated > 1:
            raise ValueError(
                f"grey and correlated are shares of one noise (got {self.grey:g} and "
                f"{self.correlated:g}); lower one of them"
            )
        return self
