"""Semantic segmentation: a class for every pixel, measured by confusion matrices that add up."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import nn
from torch.nn import functional

from fedzda.base import ImageSpec, StrictConfig, UserError
from fedzda.clients.tasks.base import Batch, Outputs, Task
from fedzda.clients.tasks.config import SegmentationConfig
from fedzda.clients.tasks.segmentation_sheet import draw_sheet
from fedzda.clients.tasks.trial import answer_shape, worded
from fedzda.platform.data.annotations import VOID
from fedzda.vision.gsanet.attention import attended_positions
from fedzda.vision.gsanet.augment import augment
from fedzda.vision.gsanet.losses import segmentation_loss
from fedzda.vision.metrics import segmentation as figures


class Segmentation(Task):
    """One label per pixel.

    A batch holds ``image``, normalised float ``(N, C, H, W)``, ``annotation``, a class or 255 for
    void ``(N, H, W)``, and ``label``, the most frequent class of each image ``(N,)``.
    """

    Config = SegmentationConfig
    columns = ("image", "annotation", "label")
    primary = "miou"
    higher_is_better = True
    means_only = ("support",)

    def __init__(self, config: StrictConfig, image: ImageSpec) -> None:
        assert isinstance(config, SegmentationConfig)
        self.config = config
        self.image = image
        self.num_classes = image.num_classes
        weights = config.class_weights
        if weights is not None and len(weights) != image.num_classes:
            raise UserError(
                f"task.class_weights has {len(weights)} values, but the data set has "
                f"{image.num_classes} classes: give one value per class."
            )
        self.class_weights = torch.tensor(weights) if weights is not None else None

    def loss(self, model: nn.Module, batch: Batch) -> torch.Tensor:
        """Mean cross entropy in nats over labelled pixels, weighted and mined as configured."""
        logits = model(batch["image"])
        weights = self.class_weights
        return segmentation_loss(
            logits,
            batch["annotation"],
            VOID,
            None if weights is None else weights.to(logits),
            self.config.ohem_threshold,
            self.config.ohem_min_share,
        )

    def augment(self, batch: Batch, rng: torch.Generator) -> Batch:
        """Images and annotations scaled, cut, mirrored and coloured together, if configured."""
        if self.config.augmentation is None:
            return batch
        images, annotations = augment(
            batch["image"], batch["annotation"], self.config.augmentation, VOID, rng
        )
        return {**batch, "image": images, "annotation": annotations}

    def outputs(self, model: nn.Module, batch: Batch) -> Outputs:
        """``logits`` ``(N, K, H, W)`` and, of networks with attention over positions, ``support``
        ``(N,)``: how many positions an image attends to."""
        with attended_positions(model) as found:
            logits = model(batch["image"])
        return {"logits": logits} | ({"support": torch.stack(found).mean(0)} if found else {})

    def sample_statistics(self, outputs: Outputs, batch: Batch) -> dict[str, torch.Tensor]:
        """Confusion ``(N, K, K)``, boundary counts ``(N, K, 4)``, loss and counts ``(N,)``."""
        logits, truth = outputs["logits"], batch["annotation"].long()
        prediction, k = logits.argmax(dim=1), self.num_classes
        loss = functional.cross_entropy(logits, truth, ignore_index=VOID, reduction="none")
        found = {
            "confusion": figures.confusion(prediction, truth, k, VOID),
            "boundary": figures.boundary_counts(
                prediction, truth, k, VOID, self.config.boundary_radius
            ),
            "loss": loss.double().sum(dim=(1, 2)),
            "count": torch.ones(len(truth), dtype=torch.float64, device=truth.device),
        }
        if "support" in outputs:
            found["support"] = outputs["support"].double()
        return found

    def metrics(self, statistics: Batch) -> dict[str, float]:
        """``miou``, ``pixel_accuracy``, ``class_accuracy``, ``boundary_f`` in [0, 1].

        Also ``loss``, the mean plain cross entropy per labelled pixel in nats, and ``support``, the
        mean number of attended positions. All but the last are NaN where every pixel is void.
        """
        confusion = statistics["confusion"]
        found = {
            "miou": figures.mean_iou(confusion),
            "pixel_accuracy": figures.pixel_accuracy(confusion),
            "class_accuracy": figures.class_accuracy(confusion),
            "boundary_f": figures.boundary_f(statistics["boundary"]).nanmean(),
            "loss": statistics["loss"] / confusion.sum(),
        }
        if "support" in statistics:
            found["support"] = statistics["support"] / statistics["count"]
        return {name: value.item() for name, value in found.items()}

    def details(self, statistics: Batch) -> dict[str, list[float]]:
        """``iou`` and ``recall`` of each class in [0, 1], NaN for a class that is not there."""
        confusion = statistics["confusion"]
        return {
            "iou": figures.iou(confusion).tolist(),
            "recall": figures.recall(confusion).tolist(),
        }

    def sheet(
        self, models: Mapping[str, nn.Module], batch: Batch, class_names: list[str]
    ) -> torch.Tensor:
        """Photograph, truth and predictions of every sample, and the colours of the classes."""
        predictions = {
            name: self.outputs(model, batch)["logits"].argmax(dim=1)
            for name, model in models.items()
        }
        return draw_sheet(batch, predictions, self.image, class_names)

    def validate(self, model: nn.Module, image: ImageSpec) -> None:
        """Run ``model`` on two black images; raise UserError unless it gives logits per pixel."""
        advice = "Choose a model for images of this shape."
        shape = answer_shape(model, image, lambda net, images: net(images), "", advice)
        wanted = (image.num_classes, *image.shape[1:])
        if shape != (2, *wanted):
            raise UserError(
                f"task segmentation needs a model that returns logits of shape (N, "
                f"{', '.join(map(str, wanted))}), one per class and pixel (got {worded(shape)} for "
                "N = 2). Choose a segmentation model, for example gsanet."
            )
