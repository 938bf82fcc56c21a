"""Configuration of the forms of the model (imports no torch). Defaults that no paper fixes are our
choice."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, SerializeAsAny, field_validator, model_validator

from fedzda.compression.config import MAX_BITS, MIN_BITS
from fedzda.platform.config import SimulationConfig, VariantConfig
from fedzda.platform.devices.variant_block import variant_config

AnyForm = Annotated[
    SerializeAsAny[VariantConfig],
    BeforeValidator(variant_config, json_schema_input_type=str | dict[str, Any]),
]
"""A form as it is written: a name, a block, or a class of the user's own."""
_OF_RUNGS = ("method", "batchnorm", "scale", "widths")
"""Settings of the widths of a ladder."""


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
    HeteroFL's scaler does, so that its sums are as large as in the full model. Its gradients grow
    likewise; at an eighth of the channels a step size that suits the full model can be too large:
    then False."""
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
    """The first of several forms that fits the device's memory and, if there is one, the
    deadline."""

    name: Literal["auto"] = "auto"
    ladder: list[float] | None = Field(default=[1.0, 0.5, 0.25, 0.125], min_length=1)
    """Ratios to choose from (HeteroFL's first four levels); 1 is the full model. Devices that not
    even the smallest fits take no part in training. ``[1.0]`` leaves out all weak devices. The
    settings of a width beside it are those of its rungs."""
    forms: list[AnyForm] | None = Field(default=None, min_length=1)
    """Forms to choose from in the place of a ladder, the best first, each written as under
    ``variant``. Those that train need memory for training and must meet the deadline, those that
    are tested only need memory for that alone. Devices that none fits take no part."""
    take: int | None = Field(default=None, ge=-1)
    """Take this one, counted from 0 in the order of choice, whether or not an earlier one fits; the
    profile must have the memory for it. -1: none of them, as ``excluded``. Left out: the first that
    fits."""

    @model_validator(mode="before")
    @classmethod
    def _no_default_beside_forms(cls, value: Any) -> Any:
        if isinstance(value, Mapping) and value.get("forms") is not None and "ladder" not in value:
            return {**value, "ladder": None}
        return value

    @field_validator("ladder")
    @classmethod
    def _rungs(cls, value: list[float] | None) -> list[float] | None:
        return value if value is None else cls._ratios(value)

    @field_validator("forms")
    @classmethod
    def _no_choice_in_a_choice(
        cls, value: list[VariantConfig] | None
    ) -> list[VariantConfig] | None:
        for form in value or []:
            if form.candidates():
                raise ValueError(
                    f"'{form.name}' is a choice itself. Write the forms that it may choose into "
                    "the list"
                )
        return value

    @model_validator(mode="after")
    def _one_list(self) -> AutoConfig:
        if self.forms is not None and self.ladder is not None:
            raise ValueError(
                "'forms' and 'ladder' both say what to choose from. Keep one of them; a rung of a "
                "ladder is {name: width, ratio: …} among forms"
            )
        if self.forms is None and self.ladder is None:
            raise ValueError("nothing to choose from. Give 'ladder' or 'forms'")
        if self.take is not None and self.take >= len(self.candidates()):
            raise ValueError(
                f"'take' counts the {len(self.candidates())} forms from 0 (got {self.take}). Lower "
                "it"
            )
        fields = WidthSettings.model_fields
        changed = [key for key in _OF_RUNGS if getattr(self, key) != fields[key].default]
        if self.forms is not None and changed:
            raise ValueError(
                f"'{changed[0]}' is of the rungs of a ladder. Write it into the forms 'width' of "
                "'forms'"
            )
        return self

    @property
    def settled(self) -> VariantConfig | None:
        """As ``take`` says."""
        if self.take is None:
            return None
        return ExcludedConfig() if self.take < 0 else self.candidates()[self.take]

    @property
    def architecture(self) -> str | None:
        """That of the form taken, or of all that may train here; None also where they differ."""
        if self.settled is not None:
            return self.settled.architecture
        found = {form.architecture for form in self._trained()}
        return found.pop() if len(found) == 1 else None

    @property
    def trains(self) -> bool:
        """If any of its forms may."""
        return bool(self._trained())

    @property
    def plain_training(self) -> bool:
        """Only where there is nothing but the full model to choose; ``forms`` are asked one by
        one."""
        return self.ladder is None or min(self.ladder) == 1

    def candidates(self) -> list[VariantConfig]:
        """The forms, or the rungs of the ladder, widest first."""
        if self.forms is not None:
            return list(self.forms)
        settings = {key: getattr(self, key) for key in _OF_RUNGS}
        return [
            FullConfig() if ratio == 1 else WidthConfig.model_validate({**settings, "ratio": ratio})
            for ratio in sorted(self.ladder or [], reverse=True)
        ]

    def _trained(self) -> list[VariantConfig]:
        """The forms that may train here."""
        options = self.candidates() if self.settled is None else [self.settled]
        return [form for form in options if form.trains]


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

    def problems_in(self, whole: SimulationConfig) -> Iterable[str]:
        """Labels tell files apart."""
        others = [form for form in whole.devices.variants() if form.title == self.title]
        if any(getattr(form, "file", None) != self.file for form in others):
            yield (
                f"two different forms of the model are called '{self.title}', so that tables could "
                "not tell them apart. Give each ONNX file a 'label' of its own."
            )

    @property
    def trains(self) -> bool:
        """Never."""
        return False
