"""Configuration of the quantization toolkit (imports no torch). Defaults that no paper fixes are
our choice."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from fedzda.base import StrictConfig

Kind = Literal["jacob", "zeroq-compat"]
Stage = Literal["ptq", "adaround", "qat"]
MIN_BITS, MAX_BITS = 2, 8


class WeightConfig(StrictConfig):
    """How the weights of convolutions and linear layers are quantized."""

    bits: int = Field(default=8, ge=MIN_BITS, le=MAX_BITS)
    """Bit width."""
    symmetric: bool = True
    """Zero in the middle of the grid (integer kernels want it); otherwise from minimum to
    maximum."""
    per_channel: bool = True
    """A range per output channel instead of one per tensor."""
    range: Literal["min-max", "percentile", "lsq"] = "min-max"
    """Where the range comes from: smallest and largest weight (min-max), percentiles of the
    weights, or a step learned by distillation (lsq, stage qat only)."""
    percentile: float = Field(default=99.9, gt=50, le=100)
    """With range percentile: the upper percentile; the lower one is 100 minus it."""


class ActivationConfig(StrictConfig):
    """How the tensors between layers are quantized."""

    bits: int = Field(default=8, ge=MIN_BITS, le=MAX_BITS)
    """Bit width."""
    symmetric: bool = False
    """Zero in the middle of the grid; wasteful after ReLU."""
    per_channel: bool = False
    """A range per channel; cannot be exported."""
    range: Literal["ema", "min-max", "percentile", "lsq"] = "ema"
    """Range over the calibration batches: moving average of each batch's extremes (ema), extremes
    of all batches (min-max), mean of each batch's percentiles, or a step learned by distillation
    (lsq, stage qat only)."""
    ema_decay: float = Field(default=0.9, ge=0, lt=1)
    """With range ema: what the past keeps at each batch."""
    percentile: float = Field(default=99.9, gt=50, le=100)
    """With range percentile: the upper percentile; the lower one is 100 minus it."""


class CalibrationConfig(StrictConfig):
    """The images that set the ranges of activations."""

    images: int = Field(default=1024, ge=1)
    """Images drawn; fewer if the pool is smaller."""
    batch_size: int = Field(default=64, ge=1)
    """Images per forward pass."""


class RoundingConfig(StrictConfig):
    """Learned rounding of the weights, layer by layer (Nagel et al. 2020, arXiv 2004.10568)."""

    images: int = Field(default=256, ge=1)
    """Images whose layer inputs are matched; fewer if the pool is smaller."""
    steps: int = Field(default=1000, ge=1)
    """Steps of Adam per layer."""
    batch_size: int = Field(default=32, ge=1)
    """Images per step."""
    lr: float = Field(default=1e-2, gt=0)
    """Step size of Adam."""
    regulariser: float = Field(default=0.01, ge=0)
    """Weight of the term that drives every weight to round up or down."""
    beta_start: float = Field(default=20.0, ge=1)
    """First exponent of that term; it falls along a cosine."""
    beta_end: float = Field(default=2.0, ge=1)
    """Last exponent of that term."""
    warmup: float = Field(default=0.2, ge=0, lt=1)
    """Share of the steps without that term."""


class DistillationConfig(StrictConfig):
    """Quantization-aware training on the logits of the float model."""

    steps: int = Field(default=2000, ge=1)
    """Steps of SGD."""
    batch_size: int = Field(default=64, ge=1)
    """Images per step."""
    lr: float = Field(default=1e-4, gt=0)
    """First step size."""
    schedule: Literal["cosine", "constant"] = "cosine"
    """Step size over time: down to zero along a cosine, or constant."""
    momentum: float = Field(default=0.9, ge=0, lt=1)
    """Momentum of SGD."""
    nesterov: bool = True
    """Nesterov's form of momentum; plain SGD if momentum is 0."""
    weight_decay: float = Field(default=0.0, ge=0)
    """Decay of weights and biases (never of learned steps)."""
    kd_factor: float = Field(default=4.0, ge=0)
    """Factor on the divergence KL(teacher || student) summed over classes and averaged over
    images; it is the effective factor, so a square of the temperature is already in it."""
    temperature: float = Field(default=1.0, gt=0)
    """Divisor of both models' logits inside the divergence."""
    ce_weight: float | None = Field(default=None, ge=0)
    """Weight of the cross entropy with the images' labels; null: 1 if the images have labels,
    else 0."""
    freeze_bn: bool = True
    """Keep the statistics of BatchNorm layers that are left (those folded are gone anyway)."""
    live_range_steps: int = Field(default=0, ge=0)
    """First steps in which activation ranges go on following the images."""


class QuantizeConfig(StrictConfig):
    """From a float classifier to its quantized form."""

    stage: Stage = "ptq"
    """How far to go: ranges from images only (ptq), then learned rounding (adaround), or
    then distillation from the float model (qat)."""
    kind: Kind = "jacob"
    """The quantizer: integer arithmetic end to end (jacob, after Jacob et al. 2018), or the one of
    the public zero-shot code (zeroq-compat: ReLU outputs and weights only, gradient never
    masked; cannot be exported)."""
    weights: WeightConfig = WeightConfig()
    """Quantizer of the weights."""
    activations: ActivationConfig = ActivationConfig()
    """Quantizer of the activations."""
    input_bits: int | None = Field(default=8, ge=MIN_BITS, le=MAX_BITS)
    """Bits of the network's input (jacob; pixels have 8 anyway); null: as activations."""
    sum_bits: int | None = Field(default=8, ge=MIN_BITS, le=MAX_BITS)
    """Bits of tensors that are only added to others (jacob; the sum has the bits of activations);
    null: as activations."""
    first_last_bits: int | None = Field(default=None, ge=MIN_BITS, le=MAX_BITS)
    """Bits of the weights of the first and the last layer and of the last layer's input; null: as
    all others."""
    fold_bn: bool | None = None
    """Fold BatchNorm into the layer before it; null: yes with jacob, no with zeroq-compat."""
    calibration: CalibrationConfig = CalibrationConfig()
    """Ranges of activations, all stages."""
    rounding: RoundingConfig = RoundingConfig()
    """Stage adaround."""
    distillation: DistillationConfig = DistillationConfig()
    """Stage qat."""

    @property
    def folds(self) -> bool:
        """Whether BatchNorm is folded, after the default of the kind."""
        return self.kind == "jacob" if self.fold_bn is None else self.fold_bn

    @model_validator(mode="after")
    def _check(self) -> QuantizeConfig:
        learned = [n for n in ("weights", "activations") if getattr(self, n).range == "lsq"]
        if learned and self.stage != "qat":
            raise ValueError(
                f"{learned[0]}.range lsq learns its step by distillation (stage is {self.stage}); "
                "choose stage qat, or another range"
            )
        if self.weights.range == "lsq" and not self.weights.symmetric:
            raise ValueError("weights.range lsq needs weights.symmetric true (got false)")
        if self.kind == "zeroq-compat":
            self._check_zeroq()
        return self

    def _check_zeroq(self) -> None:
        """The preset fixes everything but the bits and the decay of the moving average."""
        if self.stage == "adaround":
            raise ValueError("stage adaround needs kind jacob (got zeroq-compat)")
        fixed = WeightConfig(bits=self.weights.bits)
        if self.weights != fixed:
            raise ValueError("kind zeroq-compat fixes the weight quantizer; set only weights.bits")
        own = self.activations
        if own != ActivationConfig(bits=own.bits, ema_decay=own.ema_decay):
            raise ValueError(
                "kind zeroq-compat fixes the activation quantizer; set only activations.bits and "
                "activations.ema_decay"
            )
