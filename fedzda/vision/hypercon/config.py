"""Configuration of HyperCon, its learned parts and its baselines (imports no torch).

The numbers of the paper are not published in its abstract, so every default is our choice.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from fedzda.base import StrictConfig

FlowName = Literal[
    "dis-medium", "dis-fast", "dis-ultrafast", "farneback", "tv-l1", "ilk", "raft", "zero"
]
"""``zero`` is no motion at all, for baselines."""

Pool = Literal["mean", "median", "medoid"]
"""``median`` is taken per channel; ``medoid`` is the colour nearest to all others, so it is always
one of theirs."""


class HyperConConfig(StrictConfig):
    """How the frames of a translated clip are made consistent."""

    inserted: int = Field(default=1, ge=0)
    """Frames interpolated between two of the clip."""
    half_window: int = Field(default=2, ge=0)
    """Neighbours on each side that a frame is pooled with; 0 is frame by frame."""
    dilation: int = Field(default=1, ge=1)
    """Distance of neighbours in the interpolated clip, which spans ``half_window * dilation /
    (inserted + 1)`` frames on each side."""
    pool: Pool = "mean"
    """How aligned neighbours become one frame: mean, median or medoid."""
    flow: FlowName = "dis-medium"
    """Motion between frames."""
    flow_weights: str | None = None
    """A safetensors file with the weights of ``raft``; the others need none."""
    flow_on: Literal["source", "translated"] = "source"
    """Frames that the motion of neighbours is seen on."""
    weighting: Literal["in-view", "occlusion", "photometric"] = "photometric"
    """Which pixels of a neighbour count: those in view; of these, not the ones that forward and
    backward motion call occluded; or less, the more the aligned source differs from the frame's."""
    photometric_scale: float = Field(default=200.0, gt=0)
    """``photometric``: weight ``exp(-scale * d)`` with d the squared difference of colours in
    [0, 1], summed over channels …"""
    photometric_blur: float = Field(default=1.5, gt=0)
    """… after a Gaussian blur of this many pixels, so that noise does not count as a difference."""
    scale: int = Field(default=1, ge=1)
    """How many times larger the image model makes a frame, as a super-resolver does."""
    composite: bool = True
    """With masks: keep the known pixels of the clip."""
    known_only: bool = False
    """With masks: pool only pixels of neighbours that lie outside their holes, where any do."""


class TrainingConfig(StrictConfig):
    """What the trainings of the small networks share."""

    steps: int = Field(default=300, ge=1)
    """Steps of Adam."""
    batch_size: int = Field(default=2, ge=1)
    """Pictures or clips per step."""
    crop: int = Field(default=128, ge=32, multiple_of=16)
    """Side of what is cut out of the pictures, in pixels."""
    lr: float = Field(default=1e-3, gt=0)
    """Learning rate."""
    width: int = Field(default=12, ge=4)
    """Channels of the first layer."""


class TextureConfig(TrainingConfig):
    """A classifier that tells from which photograph a patch is; its features judge style."""

    name: Literal["texture"] = "texture"
    batch_size: int = Field(default=32, ge=2)
    crop: int = Field(default=32, ge=32, multiple_of=16)
    width: int = Field(default=16, ge=4)


class StyleConfig(TrainingConfig):
    """A feed-forward style network (Johnson et al. 2016), as small as a minute on a CPU allows."""

    name: Literal["style"] = "style"
    steps: int = Field(default=400, ge=1)
    content_weight: float = Field(default=1.0, ge=0)
    """Mean squared difference of the deepest features to those of the picture."""
    gram_weight: float = Field(default=20.0, ge=0)
    """Mean squared difference of Gram matrices to those of the style picture."""
    sliced_weight: float = Field(default=2.0, ge=0)
    """Sliced Wasserstein distance of features to those of the style picture."""
    projections: int = Field(default=16, ge=1)
    """Random directions of the sliced distance, fresh in every step."""
    smooth_weight: float = Field(default=0.02, ge=0)
    """Total variation."""


class InpaintingConfig(TrainingConfig):
    """A U-Net of partial convolutions (Liu et al. 2018)."""

    name: Literal["inpainting"] = "inpainting"
    steps: int = Field(default=500, ge=1)
    width: int = Field(default=16, ge=4)
    hole_weight: float = Field(default=6.0, ge=0)
    """Weight of the absolute error in holes; outside it is 1 (both as in the paper)."""


class SlomoConfig(TrainingConfig):
    """The second network of Super-SloMo (Jiang et al. 2018), small, on flows of DIS."""

    name: Literal["slomo"] = "slomo"
    width: int = Field(default=16, ge=4)
    max_flow: float = Field(default=8.0, gt=0)
    """Largest correction of a flow in pixels."""


class BlindConfig(TrainingConfig):
    """Blind video consistency (Lai et al. 2018), width 8 instead of 32."""

    name: Literal["blind"] = "blind"
    width: int = Field(default=8, ge=4)
    crop: int = Field(default=96, ge=32, multiple_of=16)
    lr: float = Field(default=1e-3, gt=0)
    frames: int = Field(default=5, ge=2)
    """Frames of a training clip."""
    short_weight: float = Field(default=100.0, ge=0)
    """Absolute difference to the last result along the motion (value of the public code)."""
    long_weight: float = Field(default=100.0, ge=0)
    """Absolute difference to the first result along the motion (value of the public code)."""
    content_weight: float = Field(default=10.0, ge=0)
    """Absolute difference to the image model's result after a high-pass."""
    visibility: float = Field(default=50.0, gt=0)
    """``M = exp(-visibility * d)``, d the squared difference of colours along the motion (value of
    the public code, which squares the sum over channels; ours is the sum of squares)."""
