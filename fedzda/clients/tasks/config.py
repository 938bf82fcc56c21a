"""Configuration of the built-in tasks (imports no torch)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from fedzda.base import StrictConfig
from fedzda.compression.diffusion.config import TDQTrainingConfig
from fedzda.vision.gsanet.config import AugmentationConfig


class ClassificationConfig(StrictConfig):
    """One label per image."""

    name: Literal["classification"] = "classification"
    label_smoothing: float = Field(default=0.0, ge=0.0, lt=1.0)
    """Share of the target spread evenly over all classes in training; the reported loss is the
    plain cross entropy."""
    crop_padding: int = Field(default=0, ge=0)
    """Train on random crops of images padded by so many pixels of the mean colour (CIFAR: 4)."""
    flip: bool = False
    """Mirror half of the training images left to right."""


class SegmentationConfig(StrictConfig):
    """A class for every pixel."""

    name: Literal["segmentation"] = "segmentation"
    class_weights: list[Annotated[float, Field(ge=0)]] | None = None
    """Weight of each class in training; left out: all 1."""
    ohem_threshold: float | None = Field(default=None, gt=0, le=1)
    """Train on hard pixels only, those whose class has a smaller probability than this; left out:
    on all."""
    ohem_min_share: float = Field(default=0.1, ge=0, le=1)
    """Smallest share of a batch's labelled pixels that ``ohem_threshold`` leaves."""
    augmentation: AugmentationConfig | None = None
    """Random scale, crop, flip and colour of training images; left out: none."""
    boundary_radius: int = Field(default=2, ge=1)
    """Tolerance of the boundary F score in pixels."""


class DiffusionConfig(StrictConfig):
    """A denoising diffusion model: T = 1000 time steps, linear betas from 1e-4 to 0.02."""

    fast: ClassVar[Mapping[str, Any]] = {
        "samples": 8,
        "judge_steps": 5,
        "sampling_steps": 4,
        "calibration_passes": 1,
    }

    name: Literal["diffusion"] = "diffusion"
    bins: int = Field(default=4, ge=1)
    """Equal parts of all time steps whose noise errors are told apart."""
    samples: int = Field(default=100, ge=0)
    """Images that every client makes in the last evaluation, to be compared with the clients'
    images (at most 2,000 of them) in the features of a classifier that is trained on them for this
    measurement; 0: none. Compare distances at one number of images only."""
    judge_steps: int = Field(default=600, ge=1)
    """Training steps of that classifier, on batches of 64."""
    sampling_steps: int = Field(default=50, ge=2, le=1000)
    """Steps of deterministic DDIM; devices may have a way of their own (variants ``ddim``,
    ``frdiff`` and ``tdq``)."""
    clip: bool = True
    """Clip the predicted image to [-1, 1] at every step, without which samples of a model that is
    not trained to the end may run away."""
    calibration_passes: int = Field(default=20, ge=1)
    """Forward passes, on 32 noisy images each, that set the first steps of variant ``tdq``."""
    fitting: TDQTrainingConfig = TDQTrainingConfig(steps=150, batch_size=32, lr=2e-3)
    """Fitting of the steps of variant ``tdq``, on trajectories of the model itself."""
