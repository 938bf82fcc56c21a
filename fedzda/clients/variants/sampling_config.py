"""Configuration of the ways in which devices sample from a diffusion model (imports no torch).

All of them train the global model as it is; what differs is how a device makes images with it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

from pydantic import Field

from fedzda.compression.diffusion.config import FRDiffConfig, TDQConfig
from fedzda.platform.config import SimulationConfig, VariantConfig


class SamplingConfig(VariantConfig):
    """A way to sample, in full unless a derived class says otherwise."""

    steps: int | None = Field(default=None, ge=2, le=1000)
    """Sampling steps; left out: ``task.sampling_steps``."""

    @property
    def reuse(self) -> FRDiffConfig | None:
        """How features are used again; None: not."""
        return None

    @property
    def bits(self) -> TDQConfig | None:
        """How the network is quantized; None: not."""
        return None

    @property
    def title(self) -> str:
        """For example ``frdiff-2 tdq-w8a8``."""
        parts = [] if self.steps is None else [f"ddim-{self.steps}"]
        if self.reuse is not None:
            frames = self.reuse.keyframes
            parts.append(f"frdiff-{self.reuse.interval if frames is None else 'keyframes'}")
        if self.bits is not None:
            own = self.bits
            parts.append(f"{own.method}-w{own.weight_bits}a{own.activation_bits}")
        return " ".join(parts) or self.name

    def problems_in(self, whole: SimulationConfig) -> Iterable[str]:
        """It samples, and with the steps that it promises."""
        task: Any = whole.task
        if getattr(task, "name", None) != "diffusion":
            yield (
                f"'variant' is '{self.name}', which samples from a diffusion model, and 'task.name'"
                f" is '{getattr(task, 'name', None)}'. Set task.name to 'diffusion', or the "
                "variant to 'full'."
            )
            return
        steps = self.steps or task.sampling_steps
        promised = None if self.reuse is None else self.reuse.num_inference_steps
        if promised not in (None, steps):
            yield (
                f"'num_inference_steps' of variant 'frdiff' is {promised}, but the device takes "
                f"{steps} steps. Leave it out."
            )
        if self.reuse is not None and self.reuse.keyframes and self.reuse.keyframes[-1] >= steps:
            yield (
                f"'keyframes' of variant 'frdiff' end at step {self.reuse.keyframes[-1]}, and the "
                f"device takes {steps} steps, counted from 0. Lower them."
            )


class DDIMSamplingConfig(SamplingConfig):
    """Fewer sampling steps."""

    name: Literal["ddim"] = "ddim"
    steps: int = Field(ge=2, le=1000)
    """Sampling steps."""


class FRDiffSamplingConfig(SamplingConfig, FRDiffConfig):
    """Features of one sampling step are used again in the next ones (FRDiff)."""

    name: Literal["frdiff"] = "frdiff"
    tdq: TDQConfig | None = None
    """Quantize the network as well; left out: float."""

    @property
    def reuse(self) -> FRDiffConfig:
        """As configured."""
        return FRDiffConfig(**{key: getattr(self, key) for key in FRDiffConfig.model_fields})

    @property
    def bits(self) -> TDQConfig | None:
        """As configured."""
        return self.tdq


class TDQSamplingConfig(SamplingConfig, TDQConfig):
    """A network with few bits whose steps follow the time step (TDQ)."""

    name: Literal["tdq"] = "tdq"

    @property
    def bits(self) -> TDQConfig:
        """As configured."""
        return TDQConfig(**{key: getattr(self, key) for key in TDQConfig.model_fields})
