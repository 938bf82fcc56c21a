"""From a float network and images to a quantized model, in one call."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import fx, nn

from fedzda.base import ImageSpec
from fedzda.compression.calibration import calibrate
from fedzda.compression.config import QuantizeConfig
from fedzda.compression.distillation import Progress, distill
from fedzda.compression.folding import fold_in_place
from fedzda.compression.graph import trace
from fedzda.compression.images import Feed, Source
from fedzda.compression.prepare import TensorRow, describe, prepare
from fedzda.compression.report import Report, compare
from fedzda.compression.rounding import RoundedLayer, learn_rounding


@dataclass(frozen=True)
class QuantizedModel:
    """A quantized network beside the float one.

    Attributes:
        model: The fake-quantized graph, in eval mode; takes normalised images.
        reference: The float graph it was made from.
        original: The float model as it was given (not a copy).
        image: The images it takes.
        config: How it was quantized.
        rounded: Errors of learned rounding per layer (stage adaround).
        losses: Loss of every training step (stage qat).
    """

    model: fx.GraphModule
    reference: fx.GraphModule
    original: nn.Module
    image: ImageSpec
    config: QuantizeConfig
    rounded: list[RoundedLayer] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)

    @torch.no_grad()
    def __call__(self, pixels_NCHW: torch.Tensor) -> torch.Tensor:
        """Logits of pixels in [0, 1]."""
        logits: torch.Tensor = self.model(self.image.normalize(pixels_NCHW))
        return logits

    def describe(self) -> list[TensorRow]:
        """Every quantized tensor."""
        return describe(self.model)

    def report(self, pixels_NCHW: torch.Tensor) -> Report:
        """Errors on pixels in [0, 1], and sizes."""
        normalised = self.image.normalize(pixels_NCHW)
        return compare(self.model, self.reference, self.original, normalised)

    def export(self, path: Path) -> int:
        """Write the integer model as ONNX and return its bytes; see
        :func:`fedzda.compression.onnx_export.export_int8`."""
        from fedzda.compression.onnx_export import export_int8

        return export_int8(self.model, self.image, path)

    def export_float(self, path: Path) -> int:
        """Write the float model as ONNX, folded like the quantized one, and return its bytes."""
        from fedzda.compression.onnx_export import export_float

        return export_float(self.original, self.image, path)


def quantize(
    model: nn.Module,
    image: ImageSpec,
    config: QuantizeConfig,
    images: Source,
    rng: torch.Generator,
    progress: Progress | None = None,
) -> QuantizedModel:
    """Quantize a classifier, a segmentation or a restoration network; ``model`` is not changed.

    Args:
        model: Float network in eval mode, on any device; see
            :func:`fedzda.compression.graph.trace`.
        image: The images it was trained on.
        config: What to quantize, and the stage: ``ptq``, ``adaround`` or ``qat``.
        images: Pixels in [0, 1] ``(N, C, H, W)``, :class:`Images` with labels, or a sampler
            ``(count, rng) -> Images``.
        rng: CPU generator of all draws.
        progress: Called after every training step (stage qat).

    Raises:
        UserError: The model is in training mode or cannot be traced, or the images do not fit.
    """
    reference = trace(model, image)
    if config.folds:
        fold_in_place(reference)
    quantized = prepare(copy.deepcopy(reference), config)
    feed = Feed(images, image, rng)
    calibrate(quantized, feed.draw_once(config.calibration.images), config.calibration)
    result = QuantizedModel(quantized, reference, model, image, config)
    if config.stage == "adaround":
        pool = feed.draw_once(config.rounding.images)
        result.rounded.extend(learn_rounding(quantized, reference, pool, config.rounding, rng))
    elif config.stage == "qat":
        result.losses.extend(distill(quantized, reference, feed, config.distillation, progress))
    return result
