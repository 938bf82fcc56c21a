"""Configuration of the tasks denoising and super-resolution (imports no torch).

Simulated cameras depend on ``camera_seed`` and the number of the client alone: they are the same in
every run, whatever its seed.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from fedzda.base import StrictConfig
from fedzda.vision.hypercon.config import HyperConConfig
from fedzda.vision.restoration.config import PatchDiscriminatorConfig, UNetDiscriminatorConfig

Range = Annotated[list[float], Field(min_length=2, max_length=2)]
"""Smallest and largest value; every client draws its own."""


def ascending(given: list[float], least: float, most: float) -> list[float]:
    """The range itself. Raises ValueError unless it ascends between ``least`` and ``most``."""
    if not least <= given[0] <= given[1] <= most:
        raise ValueError(
            f"needs two numbers in ascending order, from {least:g} to {most:g} (got {given})"
        )
    return given


class RestorationConfig(StrictConfig):
    """What the tasks from images to better images share."""

    loss: Literal["l1", "charbonnier", "mse"] = "l1"
    """What training lowers: mean absolute, smoothed absolute, or squared difference."""
    crops: int = Field(default=1, ge=1)
    """Patches that a training step cuts out of every image of its batch."""
    flips: bool = True
    """Flip and transpose patches at random."""
    test_crop: int | None = Field(default=None, ge=11)
    """Measure on the middle of every image, of at most so many pixels on each side; left out: on
    whole images."""
    self_ensemble: bool = False
    """Test on the mean of the results for all eight flips and transpositions of an image, which
    takes eight times as long; training is not changed."""
    camera_seed: int = Field(default=0, ge=0)
    """Seed of the simulated cameras."""


class SimulatedNoiseConfig(StrictConfig):
    """What the kinds of simulated noise share."""

    fresh: bool = True
    """Draw the noise of a training image anew in every step; false: every image has one noisy shot,
    as in a data set of pairs."""


class GaussianNoiseConfig(SimulatedNoiseConfig):
    """Independent noise of one standard deviation on the developed image, not clipped."""

    name: Literal["gaussian"] = "gaussian"
    sigma: Annotated[float, Field(ge=0, le=255)] | Range = 25.0
    """Standard deviation on the scale 0 to 255, the same for all clients; two numbers: smallest and
    largest, of which every client draws its own."""

    @field_validator("sigma")
    @classmethod
    def _range(cls, given: float | list[float]) -> float | list[float]:
        return ascending(given, 0.0, 255.0) if isinstance(given, list) else given


class CameraNoiseConfig(SimulatedNoiseConfig):
    """Every client is a camera: its Bayer pattern, its colours, shot and read noise on its raw
    mosaics, developed again. The truth is the same mosaic developed without noise."""

    name: Literal["camera"] = "camera"
    shot: Range = Field(default=[1e-3, 1.2e-2])
    """Smallest and largest shot variance of a pixel of full brightness, of which every camera draws
    the logarithm uniformly; 0.012 is the noisiest of Brooks et al. 2019. Read noise follows it."""

    @field_validator("shot")
    @classmethod
    def _range(cls, given: list[float]) -> list[float]:
        return ascending(given, 1e-6, 1.0)


class DenoisingConfig(RestorationConfig):
    """Images without their noise."""

    name: Literal["denoising"] = "denoising"
    patch: int = Field(default=48, ge=8, multiple_of=8)
    """Pixels on each side of a training patch."""
    noise: (
        Annotated[GaussianNoiseConfig | CameraNoiseConfig, Field(discriminator="name")] | None
    ) = None
    """Noise that is added to clean images; left out: the data set has pairs (``data.noisy``)."""
    noise_map: bool = False
    """Give the model the standard deviation of every pixel's noise behind the image, in training
    and in tests, from the noisy image and what the simulated camera's noise is known to be; needs
    ``noise`` and a model with ``noise_map``."""
    permutation: int | None = Field(default=None, ge=2)
    """Shuffle the noise of a training image anew in every step, among so many pixels of one colour
    and like brightness, against overfitting to the one noisy shot of it (Bao et al. 2020; 64 to 256
    are sensible); on the raw mosaic of a simulated camera, whose noise must not be ``fresh``, or on
    pairs of one channel. Left out: noise stays where it is."""
    video: HyperConConfig | None = None
    """In the last evaluation take every client's test images, in stored order, for the frames of a
    clip: HyperCon makes the model's results consistent, and the client gives figures of that;
    left out: images stand alone."""

    @model_validator(mode="after")
    def _noise_known(self) -> DenoisingConfig:
        if self.noise_map and self.noise is None:
            raise ValueError(
                "noise_map is true, and the level of noise is known for simulated noise only, not "
                "for pairs; set noise, or noise_map to false"
            )
        if self.noise_map and self.video is not None:
            raise ValueError(
                "noise_map is true, and the noise of frames that HyperCon makes is not known; set "
                "noise_map to false, or leave out video"
            )
        if self.video is not None and self.video.scale != 1:
            raise ValueError(
                f"video.scale is {self.video.scale}, and a denoiser's images are as large as its "
                "input; leave it out"
            )
        if self.permutation is not None and self.noise is not None and self.noise.fresh:
            raise ValueError(
                f"permutation is {self.permutation}, and noise that is drawn anew in every step "
                "gains nothing from it; set noise.fresh to false, or leave out permutation"
            )
        return self


class AdversarialConfig(StrictConfig):
    """A discriminator that every client trains for itself and keeps."""

    weight: float = Field(default=0.005, gt=0)
    """Weight of the adversarial loss beside the pixel loss; 0.005 is RealSR's."""
    objective: Literal["relativistic", "least-squares", "patch"] = "relativistic"
    """Which game generator and discriminator play."""
    discriminator: Annotated[
        PatchDiscriminatorConfig | UNetDiscriminatorConfig, Field(discriminator="name")
    ] = PatchDiscriminatorConfig(channels=16, halvings=2, norm="none")
    """Its architecture."""
    lr: float = Field(default=1e-4, gt=0)
    """Step size of its Adam, whose moments start at zero in every round."""


_LENS_ENDS = {"blur": (0.05, 4.0), "noise": (0.0, 255.0), "jpeg": (1.0, 100.0)}
"""Smallest and largest values; a kernel of 24 pixels holds three times a blur of 4."""


class LensConfig(StrictConfig):
    """What the simulated cameras do to a scene: blur, fewer pixels, noise, JPEG. Hidden from the
    clients, who see the results only."""

    blur: Range = Field(default=[1.5, 2.5])
    """Smallest and largest standard deviation of the blur along either axis of its Gaussian, in
    pixels of the large image, at most 4; its direction is random."""
    noise: Range = Field(default=[1.0, 3.0])
    """Smallest and largest standard deviation of the noise of small images, on the scale 0 to
    255."""
    jpeg: list[Annotated[int, Field(ge=1, le=100)]] | None = Field(
        default=None, min_length=2, max_length=2
    )
    """Smallest and largest quality of JPEG that small images are stored with; left out: none."""

    @field_validator("blur", "noise", "jpeg")
    @classmethod
    def _ranges(cls, given: list[float] | None, info: ValidationInfo) -> list[float] | None:
        least, most = _LENS_ENDS[str(info.field_name)]
        return None if given is None else ascending(given, least, most)


class SuperResolutionConfig(RestorationConfig):
    """Larger images, for cameras whose blur and noise nobody knows.

    A client's images are clean photographs. A share of them counts as what its camera saw: these
    the client has small and degraded only, to find out what the camera does. It trains on the
    others, degraded in that way. Tests are on images that its camera shrinks.
    """

    name: Literal["super-resolution"] = "super-resolution"
    scale: Literal[2, 3, 4] = 4
    """Factor on height and width; that of the model."""
    patch: int = Field(default=24, ge=8)
    """Pixels on each side of a small training patch; a large one has ``scale`` times as many."""
    degradation: Literal["estimated", "bicubic", "generic", "bsrgan", "real-esrgan", "oracle"] = (
        "estimated"
    )
    """What clients train with: the blur and the noise that they find in their camera's images;
    plain bicubic shrinking; a pool of random degradations for cameras of all kinds; or what the
    camera really does, as an upper bound."""
    lens: LensConfig = LensConfig()
    """The simulated cameras."""
    own_share: float = Field(default=0.5, gt=0, lt=1)
    """Share of a client's training images that only its camera saw, evenly among all in stored
    order."""
    noise_side: int = Field(default=12, ge=4)
    """Pixels on each side of the flat patches that noise is taken from."""
    noise_variance: float = Field(default=10.0, gt=0)
    """Largest variance of a flat patch on the scale 0 to 255."""
    noise_patches: int = Field(default=16, ge=1)
    """Fewest flat patches to take noise from. Where fewer are that flat, they are the quietest of a
    noisy camera, and the noise is white instead, as strong as the fit of the blur found it."""
    adversarial: AdversarialConfig | None = None
    """Train against a discriminator; left out: on the pixels alone."""
