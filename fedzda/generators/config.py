"""Configuration of the synthesizers (imports no torch). Every default is our choice: the papers
publish none."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from fedzda.base import StrictConfig

Distance = Literal["kl_gen_bn", "kl_bn_gen", "l2norm", "mse", "std_mse"]
Reduction = Literal["mean", "sum", "pooled"]


class BNMatchConfig(StrictConfig):
    """How far batch statistics are from the stored BatchNorm statistics."""

    distance: Distance = "kl_gen_bn"
    """Distance of two Gaussians per channel: Kullback-Leibler divergence of generated from stored
    statistics (kl_gen_bn) or reversed (kl_bn_gen), or a distance of moments (l2norm, mse,
    std_mse)."""
    reduction: Reduction = "mean"
    """Over channels and layers: mean of layers' channel means (mean), sum, or the sum divided by
    the number of all channels (pooled)."""
    eps: float = Field(default=1e-5, ge=0)
    """Added to both variances."""
    first_layer_weight: float = Field(default=1.0, ge=0)
    """Factor on the first BatchNorm layer's term."""


class ZSCGANConfig(StrictConfig):
    """A conditional generator trained against a frozen classifier."""

    fast: ClassVar[dict[str, int]] = {"steps": 5}
    name: Literal["zs-cgan"] = "zs-cgan"
    steps: int = Field(default=100, ge=1)
    """Generator steps per fit; a further fit continues from the generator reached."""
    batch_size: int = Field(default=64, ge=2, multiple_of=2)
    """Images per step, in pairs of one label; labels balanced over the classes asked for."""
    lr: float = Field(default=2e-3, gt=0)
    """Step size of Adam, whose moments start at zero in every fit."""
    betas: list[float] = Field(default=[0.5, 0.999], min_length=2, max_length=2)
    """Decay of Adam's first and second moment."""
    z_size: int = Field(default=64, ge=1)
    """Dimensions of the noise."""
    embedding_size: int = Field(default=64, ge=1)
    """Dimensions of the label embedding."""
    channels: int = Field(default=64, ge=2, multiple_of=2)
    """Channels of the start map; the next map has half of them."""
    ce_weight: float = Field(default=1.0, ge=0)
    """Weight of the cross entropy between the label and the classifier's output."""
    bn_weight: float = Field(default=5.0, ge=0)
    """Weight of the distance to the BatchNorm statistics."""
    diversity_weight: float = Field(default=1.0, ge=0)
    """Weight of the reward for pairs of one class that differ as their noise does (mode seeking);
    0 lets the images of a class collapse to a few."""
    bn: BNMatchConfig = BNMatchConfig()
    """The distance to the BatchNorm statistics."""
    sample_mode: Literal["eval", "train"] = "eval"
    """Normalisation inside the generator when sampling: running statistics, so that an image
    depends on its own label and noise only (eval), or statistics of each sampled batch (train)."""


class ImageDistillationConfig(StrictConfig):
    """Direct optimisation of pixels into a pool of labelled images."""

    fast: ClassVar[dict[str, int]] = {"steps": 5}
    name: Literal["image-distillation"] = "image-distillation"
    steps: int = Field(default=200, ge=1)
    """Pixel steps per batch of the pool; a further fit continues from the pool reached."""
    batch_size: int = Field(default=256, ge=2)
    """Images optimised together, labels balanced over the classes asked for."""
    batches: int = Field(default=1, ge=1)
    """Batches in the pool."""
    lr: float = Field(default=0.1, gt=0)
    """Step size of Adam, on normalised pixels."""
    ce_weight: float = Field(default=1.0, ge=0)
    """Weight of the cross entropy between the label and the classifier's output."""
    bn_weight: float = Field(default=5.0, ge=0)
    """Weight of the distance to the BatchNorm statistics."""
    tv_weight: float = Field(default=2.5e-5, ge=0)
    """Weight of the total variation, a sum of the norms of neighbour differences."""
    jitter: int = Field(default=0, ge=0)
    """Largest random cyclic shift per step, in pixels."""
    flip: bool = False
    """Mirror the batch left to right in half of the steps (not for digits or letters)."""
    bn: BNMatchConfig = BNMatchConfig()
    """The distance to the BatchNorm statistics."""
