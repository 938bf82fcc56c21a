"""Several generators, one image: weights by luminance (after Ren et al., CVPRW 2020).

Confirmed: an ensemble of GANs with different adversarial objectives, fused by luminance, with care
for low light. Weights that are linear in the mean luminance are our choice. Networks of one
architecture only learn different things by their losses; the fusion decides whom to believe.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from fedzda.base import UserError
from fedzda.vision.metrics.colour import grey


class LuminanceFusion(nn.Module):
    """A weighted mean of the networks' results.

    Args:
        networks: Generators with the same input and output.
        dark: Weight of each in a black image, not negative.
        light: Weight of each in a white image, not negative.

    Raises:
        UserError: Not one weight per network, a negative one, or all zero.
    """

    def __init__(
        self, networks: Sequence[nn.Module], dark: Sequence[float], light: Sequence[float]
    ) -> None:
        super().__init__()
        for name, weights in (("dark", dark), ("light", light)):
            if len(weights) != len(networks) or min(weights) < 0 or not sum(weights):
                raise UserError(
                    f"{name}: fusion needs one weight per generator, none negative and one above 0 "
                    f"(got {list(weights)} for {len(networks)} generators)."
                )
        self.networks = nn.ModuleList(networks)
        self.dark: torch.Tensor
        self.light: torch.Tensor
        for name, weights in (("dark", dark), ("light", light)):
            values = torch.tensor(weights, dtype=torch.float32)
            self.register_buffer(name, values / values.sum())

    def weights(self, images_NCHW: torch.Tensor) -> torch.Tensor:
        """Weight of every network for every image, ``(N, K)``, rows with sum 1."""
        light = grey(images_NCHW).mean(dim=(1, 2, 3)).clamp(0, 1).unsqueeze(1)
        return (1 - light) * self.dark + light * self.light

    def forward(self, images_NCHW: torch.Tensor) -> torch.Tensor:
        """Fused result of images in [0, 1] with 1 or 3 channels."""
        results = torch.stack([network(images_NCHW) for network in self.networks], dim=1)
        return torch.einsum("nk,nkchw->nchw", self.weights(images_NCHW), results)
