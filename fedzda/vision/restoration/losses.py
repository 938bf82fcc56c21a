"""Losses between a restored image and its truth. Every one is a mean; pixels in [0, 1].

N images, C channels, H height, W width.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from fedzda.base import UserError


def l1(images_NCHW: torch.Tensor, truth_NCHW: torch.Tensor) -> torch.Tensor:
    """Mean absolute difference."""
    return functional.l1_loss(images_NCHW, truth_NCHW)


def charbonnier(
    images_NCHW: torch.Tensor, truth_NCHW: torch.Tensor, epsilon: float = 1e-3
) -> torch.Tensor:
    """Mean of ``sqrt(d² + epsilon²)``: smooth near 0 (Lai et al. 2017)."""
    return torch.sqrt((images_NCHW - truth_NCHW).square() + epsilon**2).mean()


def psnr_loss(images_NCHW: torch.Tensor, truth_NCHW: torch.Tensor) -> torch.Tensor:
    """Minus the mean PSNR in dB, as NAFNet is trained; negative values are normal."""
    error = (images_NCHW - truth_NCHW).square().mean(dim=(1, 2, 3))
    return 10 * torch.log10(error + 1e-8).mean()


def gradient(images_NCHW: torch.Tensor, truth_NCHW: torch.Tensor) -> torch.Tensor:
    """Mean absolute difference of the differences of neighbours, along both axes."""
    gap = images_NCHW - truth_NCHW
    return (gap.diff(dim=2).abs().mean() + gap.diff(dim=3).abs().mean()) / 2


class FeatureLoss(nn.Module):
    """Mean absolute difference of the features of a frozen network.

    Any network does, for example a classifier trained on one's own images; with a VGG-19
    (:func:`fedzda.vision.restoration.vgg.load_vgg19`) it is the perceptual loss of ESRGAN.

    Args:
        network: Its weights are frozen and it is put into eval mode.
        layers: Names of its modules whose output counts, as in ``named_modules``.

    Raises:
        UserError: No layer, or one that the network has not.
    """

    def __init__(self, network: nn.Module, layers: Sequence[str]) -> None:
        super().__init__()
        modules = dict(network.named_modules())
        for name in layers:
            if name not in modules:
                known = ", ".join(key for key in modules if key)
                raise UserError(f"layers: the network has no '{name}'. Choose among {known}.")
        if not layers:
            raise UserError("layers: a feature loss needs one layer or more (got none).")
        self.network = network.eval().requires_grad_(False)
        self._seen: list[torch.Tensor] = []
        for name in layers:
            modules[name].register_forward_hook(self._see)

    def train(self, mode: bool = True) -> FeatureLoss:
        """Stays in eval mode, whatever it is part of."""
        return super().train(False)

    def forward(self, images_NCHW: torch.Tensor, truth_NCHW: torch.Tensor) -> torch.Tensor:
        """Mean over the layers."""
        with torch.no_grad():
            truth = self._features(truth_NCHW)
        pairs = zip(self._features(images_NCHW), truth, strict=True)
        return torch.stack([functional.l1_loss(ours, theirs) for ours, theirs in pairs]).mean()

    def _features(self, images_NCHW: torch.Tensor) -> list[torch.Tensor]:
        self._seen.clear()
        self.network(images_NCHW)
        features = list(self._seen)
        self._seen.clear()
        return features

    def _see(self, module: nn.Module, inputs: Any, output: torch.Tensor) -> None:
        # ReLU in place further on would change what was seen.
        self._seen.append(output.clone())
