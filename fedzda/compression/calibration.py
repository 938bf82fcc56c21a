"""Post-training calibration: ranges of activations from images, no weight changes."""

from __future__ import annotations

import torch
from torch import nn

from fedzda.base import UserError
from fedzda.compression.config import CalibrationConfig
from fedzda.compression.images import batches
from fedzda.compression.layers import ActivationQuantizer


def activation_quantizers(model: nn.Module) -> list[ActivationQuantizer]:
    """All quantizers of activations in a prepared model."""
    return [m for m in model.modules() if isinstance(m, ActivationQuantizer)]


@torch.no_grad()
def calibrate(model: nn.Module, images_NCHW: torch.Tensor, config: CalibrationConfig) -> None:
    """Show normalised images to a prepared model and switch its activation quantizers on.

    Weights are quantized already while activations are still float, so ranges are those that the
    quantized weights produce.

    Raises:
        UserError: The images lead to values that are not finite.
    """
    quantizers = activation_quantizers(model)
    for quantizer in quantizers:
        quantizer.observing, quantizer.enabled = True, False
    device = next(model.parameters()).device
    for batch in batches(images_NCHW, config.batch_size, device):
        model(batch)
    for quantizer in quantizers:
        quantizer.observing, quantizer.enabled = False, True
        lo, hi = quantizer.observer.range()
        if not bool(torch.isfinite(lo).all() and torch.isfinite(hi).all()):
            raise UserError(
                "the model's activations are not finite on the calibration images. Check the "
                "model's weights and the normalisation of the images."
            )
        quantizer.set_range()
