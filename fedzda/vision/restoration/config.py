"""Configuration of restoration networks (imports no torch).

Every network has a ``small`` and the ``full`` size. ``full`` is the published network where there
is one; sizes of MRDN and MCU-Net, and all small ones, are our choice.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from fedzda.base import StrictConfig

Size = Literal["small", "full"]


class SizedConfig(StrictConfig):
    """A network with named sizes."""

    sizes: ClassVar[Mapping[Size, Mapping[str, Any]]] = {}
    size: Size = "small"
    """Settings of keys that are left out: small (minutes on a CPU) or full (as published, for a
    GPU)."""

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, given: Any) -> Any:
        """A size's settings stand where a key is left out."""
        if not isinstance(given, dict):
            return given
        size = given.get("size", "small")
        return {**(cls.sizes.get(size, {}) if isinstance(size, str) else {}), **given}  # type: ignore[call-overload]


# ---------------------------------------------------------------------------------------------
# Denoising


class DenoiserConfig(SizedConfig):
    """What the denoising networks share."""

    noise_map: bool = False
    """Give the network the standard deviation of the noise of every pixel beside the image."""


class PooledDenoiserConfig(DenoiserConfig):
    """Networks that look at the mean of the whole map."""

    pool_window: int = Field(default=0, ge=0)
    """In evaluation, side in pixels of the image of the window whose mean stands for the mean of
    the whole map, since that of a full image is distributed unlike that of a training patch (Chu
    et al. 2022, arXiv 2112.04491: 1.5 times the patch); 0: the whole map."""


class DnCNNConfig(DenoiserConfig):
    """DnCNN: plain convolutions that predict the noise (Zhang et al. 2017)."""

    sizes: ClassVar[Mapping[Size, Mapping[str, Any]]] = {
        "small": {"depth": 7, "channels": 32},
        "full": {"depth": 20, "channels": 64},
    }
    name: Literal["dncnn"] = "dncnn"
    depth: int = Field(default=7, ge=2)
    """Convolutions; the colour network of the paper has 20."""
    channels: int = Field(default=32, ge=1)
    """Channels of every map."""
    norm: Literal["batch", "none"] = "batch"
    """BatchNorm after every convolution but the first and the last, or none."""
    start: Literal["identity", "he"] = "identity"
    """First weights. ``he``: random ones everywhere (the paper). ``identity``: between the first
    convolution and the last, which starts at zero, maps pass unchanged; deep chains then learn in
    a hundred steps what takes thousands otherwise (our choice)."""


class MRDBConfig(PooledDenoiserConfig):
    """Multi-rate residual dense blocks."""

    channels: int = Field(default=16, ge=1)
    """Channels between blocks."""
    growth: int = Field(default=8, ge=1)
    """Channels that each dense convolution adds."""
    layers: int = Field(default=3, ge=1)
    """Dense convolutions per block."""
    context_channels: int = Field(default=8, ge=0)
    """Channels of every branch of the dilated pyramid beside the dense convolutions, and of its
    output; 0: no pyramid, the plain residual dense block."""
    rates: list[Annotated[int, Field(ge=1)]] = Field(default=[1, 2, 4], min_length=1)
    """Dilations of the pyramid."""


class MRDNConfig(MRDBConfig):
    """MRDN: a chain of multi-rate residual dense blocks (Bao et al. 2020, sizes ours)."""

    sizes: ClassVar[Mapping[Size, Mapping[str, Any]]] = {
        "small": {},
        "full": {
            "blocks": 20,
            "channels": 64,
            "growth": 32,
            "layers": 6,
            "context_channels": 32,
        },
    }
    name: Literal["mrdn"] = "mrdn"
    blocks: int = Field(default=3, ge=1)
    """Blocks."""


class MCUNetConfig(MRDBConfig):
    """MCU-Net: two U-Nets whose halves are joined through MRDBs (Bao et al. 2020, sizes ours)."""

    sizes: ClassVar[Mapping[Size, Mapping[str, Any]]] = {
        "small": {},
        "full": {
            "channels": 64,
            "growth": 32,
            "layers": 6,
            "context_channels": 32,
            "levels": 4,
        },
    }
    name: Literal["mcu-net"] = "mcu-net"
    levels: int = Field(default=3, ge=2)
    """Scales of each U-Net; every further one has half the size and twice the channels."""
    cascade: int = Field(default=2, ge=1)
    """U-Nets in a row; each sees the features and the result of the one before."""


class MWRCANetConfig(PooledDenoiserConfig):
    """MWRCANet: wavelet U-Net with channel attention (HIT-VPC & Huawei, NTIRE 2020)."""

    sizes: ClassVar[Mapping[Size, Mapping[str, Any]]] = {
        "small": {"channels": 16, "deep_channels": 24, "blocks": 2, "reduction": 4},
        "full": {"channels": 96, "deep_channels": 128, "blocks": 20, "reduction": 16},
    }
    name: Literal["mwrcanet"] = "mwrcanet"
    channels: int = Field(default=16, ge=1)
    """Channels at half the size of the image."""
    deep_channels: int = Field(default=24, ge=1)
    """Channels at a quarter and an eighth."""
    blocks: int = Field(default=2, ge=1)
    """Residual blocks in each of the five chains."""
    reduction: int = Field(default=4, ge=1)
    """Factor by which the channel attention narrows."""


class NAFNetConfig(PooledDenoiserConfig):
    """NAFNet: gates in the place of activations (Chen et al. 2022, arXiv 2204.04676)."""

    sizes: ClassVar[Mapping[Size, Mapping[str, Any]]] = {
        "small": {},
        "full": {
            "channels": 32,
            "encoder": [2, 2, 4, 8],
            "middle": 12,
            "decoder": [2, 2, 2, 2],
        },
    }
    name: Literal["nafnet"] = "nafnet"
    channels: int = Field(default=16, ge=1)
    """Channels at full size; doubled with every halving."""
    encoder: list[Annotated[int, Field(ge=0)]] = Field(default=[1, 1, 1], min_length=1)
    """Blocks at each scale on the way down."""
    middle: int = Field(default=1, ge=0)
    """Blocks at the smallest scale."""
    decoder: list[Annotated[int, Field(ge=0)]] = Field(default=[1, 1, 1], min_length=1)
    """Blocks at each scale on the way up, the smallest scale first; as many as ``encoder``."""

    @model_validator(mode="after")
    def _matched(self) -> NAFNetConfig:
        if len(self.encoder) != len(self.decoder):
            raise ValueError(
                f"decoder needs as many scales as encoder (got {len(self.decoder)} and "
                f"{len(self.encoder)}); give lists of one length"
            )
        return self


# ---------------------------------------------------------------------------------------------
# Super-resolution


class UpscalerConfig(SizedConfig):
    """What the super-resolution networks share."""

    scale: Literal[2, 3, 4] = 4
    """Factor on height and width."""
    channels: int = Field(default=16, ge=1)
    """Channels between blocks."""
    blocks: int = Field(default=2, ge=1)
    """Blocks."""


class RRDBNetConfig(UpscalerConfig):
    """RRDBNet: dense blocks within dense blocks, the generator of ESRGAN (Wang et al. 2018)."""

    sizes: ClassVar[Mapping[Size, Mapping[str, Any]]] = {
        "small": {},
        "full": {"channels": 64, "blocks": 23, "growth": 32},
    }
    name: Literal["rrdb-net"] = "rrdb-net"
    scale: Literal[2, 4] = 4
    """Factor on height and width."""
    growth: int = Field(default=8, ge=1)
    """Channels that each dense convolution adds."""


class SRResidualConfig(UpscalerConfig):
    """A residual network without norms: EDSR-baseline in full (Lim et al. 2017)."""

    sizes: ClassVar[Mapping[Size, Mapping[str, Any]]] = {
        "small": {},
        "full": {"channels": 64, "blocks": 16, "upsampling": "staged", "skip": False},
    }
    name: Literal["sr-residual"] = "sr-residual"
    channels: int = Field(default=24, ge=1)
    """Channels between blocks."""
    blocks: int = Field(default=8, ge=1)
    """Residual blocks of two convolutions."""
    upsampling: Literal["direct", "staged"] = "direct"
    """One convolution and shuffle to the colours, or a factor of 2 (or 3) at a time at full
    width."""
    skip: bool = True
    """Add the bilinearly enlarged image, so that only the difference is learned."""


class IMDNConfig(UpscalerConfig):
    """IMDN: information multi-distillation (Hui et al. 2019, arXiv 1909.11856)."""

    sizes: ClassVar[Mapping[Size, Mapping[str, Any]]] = {
        "small": {},
        "full": {"channels": 64, "blocks": 6, "reduction": 16},
    }
    name: Literal["imdn"] = "imdn"
    channels: int = Field(default=24, ge=4, multiple_of=4)
    """Channels between blocks; a quarter of them is kept at every step of a block."""
    blocks: int = Field(default=5, ge=1)
    """Distillation blocks."""
    reduction: int = Field(default=8, ge=1)
    """Factor by which the contrast-aware attention narrows."""


# ---------------------------------------------------------------------------------------------
# Discriminators


class PatchDiscriminatorConfig(StrictConfig):
    """PatchGAN: judges overlapping patches (Isola et al. 2017, arXiv 1611.07004)."""

    name: Literal["patch"] = "patch"
    channels: int = Field(default=64, ge=1)
    """Channels of the first map; doubled with every halving, up to eightfold."""
    halvings: int = Field(default=3, ge=1)
    """Strided convolutions; with 3 a patch has 70x70 pixels."""
    norm: Literal["batch", "none"] = "batch"
    """BatchNorm after all convolutions but the first and the last, or none."""


class UNetDiscriminatorConfig(StrictConfig):
    """U-Net with spectral norms: judges every pixel (Wang et al. 2021, arXiv 2107.10833)."""

    name: Literal["u-net"] = "u-net"
    channels: int = Field(default=64, ge=1)
    """Channels of the first map; eightfold at the smallest of its four scales."""
