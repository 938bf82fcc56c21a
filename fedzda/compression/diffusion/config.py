"""Configuration of FRDiff and TDQ (imports no torch). Defaults that no paper fixes are our
choice."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from fedzda.base import StrictConfig


class ReuseTargetConfig(StrictConfig):
    """A further module whose result is kept and used again."""

    module: str
    """Name of the module inside the model, as ``named_modules`` writes it."""
    mode: Literal["output", "residual"] = "output"
    """What is kept: the output, or output minus input (the input is then added afresh)."""


class FRDiffConfig(StrictConfig):
    """Feature reuse over sampling steps, with score mixing."""

    interval: int = Field(default=2, ge=1)
    """Every so many sampling steps all features are computed (keyframes); the authors use 2 or 3
    with 50 steps of DDIM. 1 reuses nothing."""
    keyframes: list[Annotated[int, Field(ge=0)]] | None = None
    """The keyframes themselves, rising from 0, instead of ``interval``."""
    num_inference_steps: int | None = Field(default=None, ge=1)
    """Sampling steps of a trajectory; may be left out inside a pipeline, which says it."""
    score_mixing: bool = True
    """Mix the network's output with that of the last keyframe, whose share falls from 1 to 0; while
    it is 1 the network is not called at all."""
    mixing_bias: float = Field(default=0.5, ge=0, le=1)
    """Share of the trajectory at which both outputs count the same."""
    mixing_slope: float = Field(default=30.0, gt=0)
    """Steepness of the change."""
    reuse_resnet: bool = True
    """Reuse the first convolution of residual blocks."""
    reuse_attention: bool = True
    """Reuse attention: that of U-Nets with its residual, that of DiT blocks before its gate."""
    reuse_feedforward: bool = False
    """Reuse the MLP of DiT blocks before its gate as well."""
    targets: list[ReuseTargetConfig] = Field(default=[])
    """Further modules, for networks of one's own."""

    @model_validator(mode="after")
    def _check(self) -> FRDiffConfig:
        frames = self.keyframes
        if frames is None:
            return self
        if not frames or frames[0] != 0 or any(a >= b for a, b in pairwise(frames)):
            raise ValueError(
                f"keyframes must rise from 0 without repeats (got {frames}); the first sampling "
                "step has nothing to reuse"
            )
        if self.interval != 2:
            raise ValueError(
                f"keyframes replace interval (got both, interval {self.interval}); leave one out"
            )
        return self


class AutoFRConfig(StrictConfig):
    """Learning the keyframes by gradient through the sampler."""

    num_inference_steps: int = Field(default=50, ge=2)
    """Sampling steps of the trajectory."""
    steps: int = Field(default=100, ge=1)
    """Steps of Adam."""
    batch_size: int = Field(default=1, ge=1)
    """Images per step."""
    lr: float = Field(default=5e-3, gt=0)
    """Step size of Adam."""
    penalty: float = Field(default=1e-3, ge=0)
    """Weight of the gates that are open, each above one half by ``2 sigmoid - 1``; the authors'
    command line has 3e-4, their example 1e-3."""
    first_logit: float = 0.1
    """Logit of every gate at the start: a bit above 0, so that every step computes."""


Method = Literal["tdq", "lsq", "static-min-max", "static-mse", "per-step", "dynamic"]


class TDQConfig(StrictConfig):
    """Quantization of a denoiser; the method says where the steps of activations come from."""

    method: Method = "tdq"
    """``tdq``: a small network of the time step per tensor; the others are baselines: one learned
    step (lsq), from the extremes (static-min-max) or with the least squared error (static-mse) of
    calibration, one learned step per bin of time steps (per-step), from each image's own extremes
    (dynamic)."""
    weight_bits: int = Field(default=8, ge=3, le=8)
    """Bit width of weights, symmetric."""
    activation_bits: int = Field(default=8, ge=3, le=8)
    """Bit width of activations; 2 leaves a symmetric grid with no value but 0."""
    weight_granularity: Literal["per-tensor", "per-channel"] = "per-tensor"
    """A step per layer (as published) or per output channel."""
    weight_start: Literal["abs-max", "mse"] = "abs-max"
    """First step of weights: from the largest magnitude (as in the published code), or the one with
    the least squared error, which matters where it is not trained."""
    activation_start: Literal["spread", "mse"] = "spread"
    """First step of activations that learn theirs: from mean and standard deviation (as in the
    published code), or the one with the least squared error."""
    hidden_dim: int = Field(default=64, ge=1)
    """Width of the hidden layers of a step network."""
    dropout: float = Field(default=0.2, ge=0, lt=1)
    """Dropout before the last layer of a step network, in training."""
    embedding_dim: int | None = Field(default=None, ge=2)
    """Size of the encoding of the time step; left out: the U-Net's base width."""
    step_bins: int = Field(default=100, ge=1)
    """Bins of the method per-step, equal parts of all time steps; with 100 bins, sampling with 100
    steps has a step size for each."""
    modules_to_not_convert: list[str] | None = None
    """Names of modules that stay float, with all that is inside them; left out: the first and the
    last layer and everything that handles the time step."""


class TDQTrainingConfig(StrictConfig):
    """Training of a quantized denoiser."""

    fast: ClassVar[Mapping[str, Any]] = {"steps": 2}

    steps: int = Field(default=1000, ge=1)
    """Steps of AdamW."""
    batch_size: int = Field(default=64, ge=1)
    """Images per step."""
    lr: float = Field(default=2e-4, gt=0)
    """Step size of weights and step networks."""
    plain_factor: float = Field(default=0.1, gt=0)
    """Factor on it for steps that are plain numbers, in training with images (0.1 in the published
    code)."""
    weight_decay: float = Field(default=0.01, ge=0)
    """Decay of weights and step networks, never of plain steps."""
    warmup: int = Field(default=0, ge=0)
    """First steps, over which the step size rises from 0."""
    clip_norm: float | None = Field(default=1.0, gt=0)
    """Largest gradient norm; larger ones are scaled down."""
    ema_decay: float = Field(default=0.0, ge=0, lt=1)
    """Decay of the moving average of all that is trained, which replaces it at the end; 0: none."""
