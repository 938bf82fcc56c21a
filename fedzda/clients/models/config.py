"""Configuration of the built-in models (imports no torch)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from fedzda.base import StrictConfig

Norm = Literal["batch", "group", "none"]
"""Normalisation: ``batch`` keeps running statistics (zero-shot synthesis needs them), ``group``
keeps none, ``none`` leaves the layer out."""

DeepNorm = Literal["batch", "group"]
"""Normalisation of networks that do not train without one."""


class DeepConfig(StrictConfig):
    """What networks that do not train without a normalisation share."""

    name: str
    norm: DeepNorm = "batch"
    """Normalisation: batch or group."""


class MLPConfig(StrictConfig):
    """Fully connected network on flattened pixels."""

    name: Literal["mlp"] = "mlp"
    hidden: list[Annotated[int, Field(ge=1)]] = Field(default=[200, 200])
    """Width of each hidden layer."""
    norm: Norm = "none"
    """Normalisation after each hidden layer: batch, group or none."""


class CNNConfig(StrictConfig):
    """The convolutional network of McMahan et al. 2017."""

    name: Literal["cnn"] = "cnn"
    norm: Norm = "none"
    """Normalisation after each convolution: batch, group or none (as published)."""


class LeNetBNConfig(StrictConfig):
    """LeNet with normalisation after both convolutions and the first linear layer."""

    name: Literal["lenet-bn"] = "lenet-bn"
    width: int = Field(default=16, ge=1)
    """Channels of the first convolution; the second has twice, the first linear layer four times
    as many."""
    norm: Norm = "batch"
    """Normalisation: batch, group or none."""


class ResNet8Config(DeepConfig):
    """CIFAR ResNet with 8 weighted layers."""

    name: Literal["resnet-8"] = "resnet-8"


class ResNet20Config(DeepConfig):
    """CIFAR ResNet with 20 weighted layers."""

    name: Literal["resnet-20"] = "resnet-20"


class ResNet32Config(DeepConfig):
    """CIFAR ResNet with 32 weighted layers, as class-incremental studies use it."""

    name: Literal["resnet-32"] = "resnet-32"


class ResNet18Config(DeepConfig):
    """ResNet-18 with a 3x3 stem and no first pooling."""

    name: Literal["resnet-18"] = "resnet-18"


class WRN161Config(DeepConfig):
    """Wide ResNet of depth 16 and width 1."""

    name: Literal["wrn-16-1"] = "wrn-16-1"


class WRN402Config(DeepConfig):
    """Wide ResNet of depth 40 and width 2."""

    name: Literal["wrn-40-2"] = "wrn-40-2"


class MobileNetV2Config(DeepConfig):
    """MobileNetV2 with the strides of its CIFAR form."""

    name: Literal["mobilenet-v2"] = "mobilenet-v2"


class DiffusionUNetConfig(StrictConfig):
    """The U-Net of a denoising diffusion model (``UNet2DModel`` of diffusers), unconditional.

    Attention stands in every resolution but the first, and in the middle.
    """

    name: Literal["diffusion-unet"] = "diffusion-unet"
    widths: list[Annotated[int, Field(ge=8)]] = Field(default=[32, 64], min_length=1)
    """Channels of each resolution, from the full one down; each is half of the one before."""
    layers: int = Field(default=2, ge=1)
    """Residual blocks per resolution on the way down; one more on the way up."""
    norm_groups: int = Field(default=8, ge=1)
    """Groups of every GroupNorm; must divide every width."""
    ema_decay: float = Field(default=0.999, ge=0, lt=1)
    """Decay of the moving average of the weights per training step, less in the first steps; the
    average is what is evaluated and sampled from. It travels with the model, which makes that twice
    as large; 0: none."""

    @model_validator(mode="after")
    def _check(self) -> DiffusionUNetConfig:
        odd = [width for width in self.widths if width % self.norm_groups]
        if odd:
            raise ValueError(
                f"norm_groups must divide every width (got {self.norm_groups} and {odd[0]}); "
                "choose a divisor"
            )
        return self
