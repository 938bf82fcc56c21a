"""Configuration of the forms of the model (imports no torch). Defaults that no paper fixes are our
choice."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from pydantic import Field, field_validator

from fedzda.compression.config import MAX_BITS, MIN_BITS
from fedzda.platform.config import SimulationConfig, VariantConfig


class FullConfig(VariantConfig):
    """The global model as it is."""

    name: Literal["full"] = "full"


class ExcludedConfig(VariantConfig):
    """No part in training. The device is tested on the full model, which it could not run: what it
    would get from the others."""

    name: Literal["excluded"] = "excluded"

    @property
    def trains(self) -> bool:
        """Never."""
        return False


Method = Literal["heterofl", "fedrolex", "fjord"]


class TrainsByChoice(VariantConfig):
    """A form whose devices train, or are tested only."""

    train: bool = True
    """Take part in training; False: the device is tested only."""

    @property
    def trains(self) -> bool:
        """As configured."""
        return self.train


class WidthSettings(VariantConfig):
    """How a model is made narrower."""

    method: Method = "heterofl"
    """Which channels: the first ones (heterofl), a window that moves by one channel per round
    (fedrolex), or the first ones of a width that is drawn per client and round (fjord)."""
    batchnorm: Literal["static", "shared"] = "static"
    """Statistics of BatchNorm in narrow models: those of the client's own training samples,
    computed before every test (HeteroFL's static BatchNorm, client by client; never sent where
    others train the full width), or slices of the global ones, which all widths average."""
    scale: bool = True
    """Multiply what a narrow layer sums up by the number of all inputs over those it has, as
    HeteroFL's scaler does, so that its sums are as large as in the full model."""
    widths: list[float] = Field(default=[0.2, 0.4, 0.6, 0.8, 1.0], min_length=1)
    """fjord: ratios that a round's width is drawn from, those up to the device's own (the paper's);
    the paper draws for every batch."""

    @field_validator("widths")
    @classmethod
    def _ratios(cls, value: list[float]) -> list[float]:
        for ratio in value:
            if not 0 < ratio <= 1:
                raise ValueError(f"ratios lie above 0 and at most at 1 (got {ratio:g})")
        return value


class WidthConfig(WidthSettings, TrainsByChoice):
    """The same network with fewer channels in every layer."""

    name: Literal["width"] = "width"
    ratio: float = Field(default=0.5, gt=0, le=1)
    """Share of the channels of every layer, rounded up."""
    train: bool = True
    """Take part in training; False: the device is tested only, on its part of what others train,
    and needs memory for that alone."""

    @property
    def title(self) -> str:
        """For example ``width-0.5``."""
        return f"width-{self.ratio:g}"

    @property
    def whole(self) -> bool:
        """Only at ratio 1."""
        return self.ratio == 1 and self.method != "fjord"

    @property
    def plain_training(self) -> bool:
        """As :attr:`whole`, or if only others train."""
        return self.whole or not self.train

    def problems_in(self, whole: SimulationConfig) -> Iterable[str]:
        """What a client keeps of its updates must fit the channels of the next round."""
        if getattr(whole.uplink, "error_feedback", False) and self.method != "heterofl":
            yield (
                f"'uplink.error_feedback' keeps what was not sent for the next round, and method "
                f"'{self.method}' trains other channels then. Set uplink.error_feedback to false."
            )


class AutoConfig(WidthSettings):
    """The widest form that fits the device's memory and, if there is one, the deadline."""

    name: Literal["auto"] = "auto"
    ladder: list[float] = Field(default=[1.0, 0.5, 0.25, 0.125], min_length=1)
    """Ratios to choose from (HeteroFL's first four levels); 1 is the full model. Devices that not
    even the smallest fits take no part in training. ``[1.0]`` leaves out all weak devices."""

    @field_validator("ladder")
    @classmethod
    def _rungs(cls, value: list[float]) -> list[float]:
        return cls._ratios(value)

    @property
    def plain_training(self) -> bool:
        """Only where there is nothing but the full model to choose."""
        return min(self.ladder) == 1

    def candidates(self) -> list[VariantConfig]:
        """The rungs of the ladder, widest first."""
        settings = {
            "method": self.method,
            "batchnorm": self.batchnorm,
            "scale": self.scale,
            "widths": self.widths,
        }
        return [
            FullConfig() if ratio == 1 else WidthConfig.model_validate({**settings, "ratio": ratio})
            for ratio in sorted(self.ladder, reverse=True)
        ]

    def problems_in(self, whole: SimulationConfig) -> Iterable[str]:
        """Those of the forms to choose from."""
        for form in self.candidates()[-1:]:
            yield from form.problems_in(whole)


class DepthConfig(VariantConfig):
    """The first stages of the model with heads of their own (DepthFL)."""

    extends = "fedzda.clients.variants.depth:with_exits"
    alone = True

    name: Literal["depth"] = "depth"
    stages: int = Field(default=1, ge=1)
    """Stages kept, of those that the model names in ``stages``; all of them: the whole model, and
    a head after every stage."""
    distillation: float = Field(default=0.0, ge=0)
    """Weight of the mean divergence KL(other head || head) between the device's heads; 0: none.
    (DepthFL: up to 1, ramped up over 300 rounds.)"""

    @property
    def title(self) -> str:
        """For example ``depth-1``."""
        return f"depth-{self.stages}"

    @property
    def whole(self) -> bool:
        """Never: the last stage is left out."""
        return False

    @property
    def plain_training(self) -> bool:
        """Never."""
        return False


class QuantizedConfig(TrainsByChoice):
    """Few bits, simulated."""

    name: Literal["quantized"] = "quantized"
    weights: int = Field(default=4, ge=MIN_BITS, le=MAX_BITS)
    """Bits of the weights of convolutions and linear layers, one range per output channel."""
    activations: int = Field(default=8, ge=MIN_BITS, le=MAX_BITS)
    """Bits of what these layers read, one range per tensor."""
    images: int = Field(default=128, ge=1)
    """The client's own training samples that set the ranges of activations, at most."""
    train: bool = True
    """Take part in training, with simulated quantization of the forward pass; the weights that are
    trained and sent stay float. False: the device is tested only, on the global model with few
    bits, and needs memory for that alone."""

    @property
    def title(self) -> str:
        """For example ``quantized-w4a8``."""
        return f"quantized-w{self.weights}a{self.activations}"

    @property
    def plain_training(self) -> bool:
        """Only if others train."""
        return not self.train

    def problems_in(self, whole: SimulationConfig) -> Iterable[str]:
        """The model takes images alone."""
        yield from _diffuses(self.name, whole)


class Int8Config(TrainsByChoice):
    """Trained as full; tested as an integer model in ONNX Runtime: a classifier, a segmentation
    network, or a denoiser."""

    name: Literal["int8"] = "int8"
    images: int = Field(default=128, ge=1)
    """The client's own training samples that set the ranges of activations, at most."""
    train: bool = True
    """Take part in training; False: the device is tested only, and needs memory for that alone."""

    def problems_in(self, whole: SimulationConfig) -> Iterable[str]:
        """What is exported takes images and gives logits, or images of the same size."""
        yield from _diffuses(self.name, whole)
        if getattr(whole.task, "name", None) == "super-resolution":
            yield (
                "'variant' is 'int8', and 'task.name' is 'super-resolution', whose models shuffle "
                "pixels, which is not exported. Set the variant to 'quantized' or 'full'."
            )


def _diffuses(name: str, whole: SimulationConfig) -> Iterable[str]:
    """A diffusion model takes time steps beside images, and has forms of its own."""
    if getattr(whole.task, "name", None) == "diffusion":
        yield (
            f"'variant' is '{name}', and 'task.name' is 'diffusion', whose model also takes time "
            "steps. Set the variant to 'tdq', 'frdiff', 'ddim' or 'full'."
        )


class OnnxConfig(VariantConfig):
    """A finished model from an ONNX file, run in ONNX Runtime; it takes no part in training."""

    name: Literal["onnx"] = "onnx"
    file: str
    """The file, for example ``model.onnx`` of ``fedzda quantize``; a relative path starts at the
    working directory."""
    label: str = Field(default="onnx", min_length=1)
    """What tables call it; two files need two labels."""

    @property
    def title(self) -> str:
        """The label."""
        return self.label

    @property
    def trains(self) -> bool:
        """Never."""
        return False
