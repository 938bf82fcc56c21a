"""Ways to sample from a diffusion model: fewer steps, features used again, few bits.

The device trains the global model as it is, and the server averages as ever. What a device tests is
the same model with a note of how it samples; the task ``diffusion`` reads the note, makes images in
that way, and counts what one image takes.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from fedzda.base import Turn
from fedzda.clients.variants.full import Form
from fedzda.clients.variants.sampling_config import (
    DDIMSamplingConfig,
    FRDiffSamplingConfig,
    SamplingConfig,
    TDQSamplingConfig,
)

_NOTE = "_fedzda_sampling"


class Sampling(Form):
    """The global model, with its own way to sample."""

    config: SamplingConfig

    def deploy(
        self, device_model: nn.Module, images_NCHW: torch.Tensor | None, turn: Turn
    ) -> nn.Module:
        """See :class:`fedzda.base.Variant`."""
        own: Any = device_model
        own.__dict__[_NOTE] = self.config
        return device_model.eval()


class DDIMSampling(Sampling):
    """Fewer steps of deterministic DDIM."""

    Config = DDIMSamplingConfig


class FRDiffSampling(Sampling):
    """Feature reuse, in float or with few bits."""

    Config = FRDiffSamplingConfig


class TDQSampling(Sampling):
    """Few bits, whose steps follow the time step."""

    Config = TDQSamplingConfig


def way_of(model: nn.Module) -> SamplingConfig:
    """How a model that a device tests is sampled; in full where nobody has said anything."""
    found: SamplingConfig = model.__dict__.get(_NOTE, SamplingConfig(name="full"))
    return found
