"""The placebo: as many images with the same labels as Fed-ZDAC uses, but they show nothing."""

from __future__ import annotations

import torch

from fedzda.clients.hooks.augmentation import Augmentation
from fedzda.clients.hooks.base import LocalRun


class NoiseImages(Augmentation):
    """Images of independent Gaussian pixels with the data's mean and standard deviation."""

    request = "noise-images"

    def images(self, run: LocalRun, labels: torch.Tensor, rng: torch.Generator) -> torch.Tensor:
        """Standard normal values: normalised pixels have this mean and standard deviation."""
        return torch.randn(len(labels), *run.runtime.image.shape, generator=rng)
