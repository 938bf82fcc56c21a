"""Configuration of the segmentation networks (imports no torch).

Fields without a source are our reconstruction of GSANet, not values of the paper.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from fedzda.base import StrictConfig

Attention = Literal["none", "softmax", "sparsemax", "entmax15"]
"""Weights of positions in the global feature; ``none``: their average."""

SegmentationNorm = Literal["batch", "group"]
"""``batch`` keeps running statistics, ``group`` keeps none and does not depend on the batch."""


class MobileNetEdgeConfig(StrictConfig):
    """MobileNetEdge: MobileNet EdgeTPU, first generation."""

    name: Literal["mobilenet-edge"] = "mobilenet-edge"
    width: float = Field(default=1.0, gt=0)
    """Factor on all channels, which are then rounded to multiples of 8."""
    stages: int = Field(default=6, ge=2, le=6)
    """Stages kept after the stem; two of them reach output stride 8, three 16, five 32."""


class XceptionConfig(StrictConfig):
    """Aligned Xception; with 16 middle blocks it is Xception-65."""

    name: Literal["xception"] = "xception"
    width: float = Field(default=1.0, gt=0)
    """Factor on all channels, which are then rounded to multiples of 8."""
    middle_blocks: int = Field(default=16, ge=1)
    """Blocks of the middle flow."""


class SegmentationModelConfig(StrictConfig):
    """What the segmentation networks share."""

    features: Annotated[MobileNetEdgeConfig | XceptionConfig, Field(discriminator="name")] = (
        MobileNetEdgeConfig()
    )
    """The feature network."""
    output_stride: Literal[8, 16] = 16
    """Largest ratio of image to feature map; later strides of the feature network become
    dilations."""
    norm: SegmentationNorm = "batch"
    """Normalisation after every convolution: batch or group."""
    pool_norm: Literal["batch", "group", "none"] = "none"
    """Normalisation of the pooled global feature, a single pixel: BatchNorm learns nothing there
    from a batch of one image."""
    channels: int = Field(default=256, ge=8)
    """Channels of every scale of the head and of its output."""


class DeepLabV3PlusConfig(SegmentationModelConfig):
    """DeepLabv3+: separable ASPP with average pooling, concatenation, plain decoder."""

    name: Literal["deeplab-v3-plus"] = "deeplab-v3-plus"
    rates: list[Annotated[int, Field(ge=1)]] | None = Field(default=None, min_length=1)
    """Dilations of the separable convolutions; left out: 6, 12, 18 at output stride 16 and twice
    these at 8."""
    fuse_kernel: Literal[1, 3] = 1
    """The convolution after concatenation: 1x1, or a separable 3x3."""
    low_channels: int = Field(default=48, ge=8)
    """Channels that the low-level map (a quarter of the image) is reduced to."""
    decoder_channels: int = Field(default=256, ge=8)
    """Channels of the decoder."""


class GSANetConfig(DeepLabV3PlusConfig):
    """GSANet; ``attention: none``, ``fusion: concat``, ``decoder: plain`` is DeepLabv3+."""

    name: Literal["gsanet"] = "gsanet"  # type: ignore[assignment]
    attention: Attention = "sparsemax"
    """What weighs the positions of the global attention feature."""
    heads: int = Field(default=1, ge=1)
    """Attention maps; each pools its own, equal share of the channels."""
    attention_std: float = Field(default=0.01, gt=0)
    """Standard deviation of the initial weights of the attention scores: sparsemax of scores far
    apart attends to a few positions only, and no other gets a gradient."""
    learn_temperature: bool = False
    """Learn a factor on the scores of each head."""
    keep_average_pool: bool = False
    """Keep the average pooling as one more scale beside the attention feature."""
    fusion: Literal["concat", "selective"] = "selective"
    """How scales are joined: concatenation and convolution, or a selective weighted sum."""
    condense: Literal["spatial", "global"] = "spatial"
    """Condense scales per pixel, or once per image."""
    condense_ratio: int = Field(default=16, ge=1)
    """The condensed feature has ``channels / condense_ratio`` channels …"""
    condense_min: int = Field(default=32, ge=2)
    """… but at least so many."""
    diffuse: Literal["channel", "scale"] = "channel"
    """Weights of scales for every channel, or one for all channels."""
    diffuse_std: float | None = Field(default=None, ge=0)
    """Standard deviation of the initial weights of the diffusion, instead of He's: with 0 every
    scale counts the same at first."""
    decoder: Literal["plain", "selective"] = "selective"
    """How the decoder joins the head's output with the low-level map."""


class LRASPPConfig(SegmentationModelConfig):
    """LR-ASPP, the light head of MobileNetV3 (Howard et al. 2019)."""

    name: Literal["lr-aspp"] = "lr-aspp"
    channels: int = Field(default=128, ge=8)
    """Channels of both branches."""


class AugmentationConfig(StrictConfig):
    """Random changes of training images and their annotations."""

    scale: list[Annotated[float, Field(gt=0)]] = Field(
        default=[0.75, 1.5], min_length=2, max_length=2
    )
    """Smallest and largest factor on the size."""
    crop: list[Annotated[int, Field(ge=1)]] | None = Field(default=None, min_length=2, max_length=2)
    """Height and width of what is cut out, in pixels; left out: those of the image. What lies
    outside the image is void."""
    flip: bool = True
    """Mirror half of the images left to right."""
    colour: float = Field(default=0.2, ge=0, lt=1)
    """Largest change of contrast (a factor) and of brightness and colour (in standard deviations of
    the data set)."""
