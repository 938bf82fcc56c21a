"""Selective attention by condensation and diffusion: which scale to trust, where.

Condensation brings all scales together into few channels; diffusion spreads these into a weight for
every scale. The pattern is that of selective kernels (Li et al. 2019, arXiv 1903.06586, section
3.1), here per pixel. All details are our reconstruction.

N images, S scales, C channels, H height, W width.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import nn

from fedzda.vision.gsanet.layers import Norm, convolution


class SelectiveFusion(nn.Module):
    """A weighted sum of scales; the weights sum to 1 over the scales.

    Args:
        scales: Number of maps.
        channels: Channels of each.
        condensed: Channels of the condensed feature.
        norm: Normalisation of the condensed feature.
        condense: ``spatial``: per pixel, ``global``: from the means over all pixels.
        diffuse: ``channel``: a weight per channel, ``scale``: one for all channels.
        std: Standard deviation that :meth:`initialise` gives the weights of the diffusion; with 0
            the scales count the same at first, None leaves the weights as they are.
    """

    def __init__(
        self,
        scales: int,
        channels: int,
        condensed: int,
        norm: Norm,
        condense: Literal["spatial", "global"] = "spatial",
        diffuse: Literal["channel", "scale"] = "channel",
        std: float | None = None,
    ) -> None:
        super().__init__()
        self.scales, self.std = scales, std
        self.width = channels if diffuse == "channel" else 1
        self.pooled = condense == "global"
        self.condense = convolution(scales * channels, condensed, 1, norm)
        self.diffuse = nn.Conv2d(condensed, scales * self.width, 1)

    def initialise(self) -> None:
        """The weights of the diffusion, as ``std`` says."""
        if self.std is not None:
            nn.init.normal_(self.diffuse.weight, std=self.std)

    def weights(self, scales_SNCHW: Sequence[torch.Tensor]) -> torch.Tensor:
        """``(N, S, C or 1, H or 1, W or 1)`` in [0, 1], from S maps ``(N, C, H, W)``."""
        maps = torch.cat(list(scales_SNCHW), dim=1)
        if self.pooled:
            maps = maps.mean(dim=(2, 3), keepdim=True)
        spread: torch.Tensor = self.diffuse(self.condense(maps))
        n, _, h, w = spread.shape
        return spread.reshape(n, self.scales, self.width, h, w).softmax(dim=1)

    def forward(self, scales_SNCHW: Sequence[torch.Tensor]) -> torch.Tensor:
        """S maps ``(N, C, H, W)`` to their weighted sum ``(N, C, H, W)``."""
        weights = self.weights(scales_SNCHW).flatten(1, 2)
        total = weights[:, : self.width] * scales_SNCHW[0]
        for place, values in enumerate(scales_SNCHW[1:], 1):
            part = weights[:, place * self.width : (place + 1) * self.width]
            total = total + part * values
        return total
