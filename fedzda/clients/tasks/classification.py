"""Image classification: cross entropy, accuracy and per-class recall."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from fedzda.base import ImageSpec, StrictConfig, UserError
from fedzda.clients.tasks.base import Batch, Task
from fedzda.clients.tasks.config import ClassificationConfig
from fedzda.clients.tasks.trial import answer_shape, worded


class Classification(Task):
    """One label per image.

    A batch holds ``image``, normalised float ``(N, C, H, W)``, and ``label``, int64 ``(N,)``.
    """

    Config = ClassificationConfig
    columns = ("image", "label")
    primary = "accuracy"
    higher_is_better = True

    def __init__(self, config: StrictConfig, image: ImageSpec) -> None:
        assert isinstance(config, ClassificationConfig)
        self.label_smoothing = config.label_smoothing
        self.crop_padding, self.flip = config.crop_padding, config.flip
        self.num_classes = image.num_classes

    def loss(self, model: nn.Module, batch: Batch) -> torch.Tensor:
        """Mean cross entropy in nats, with label smoothing if configured."""
        return functional.cross_entropy(
            model(batch["image"]), batch["label"], label_smoothing=self.label_smoothing
        )

    @property
    def augments(self) -> bool:
        """Whether crops or mirror images are configured."""
        return self.crop_padding > 0 or self.flip

    def augment(self, batch: Batch, rng: torch.Generator) -> Batch:
        """Random crops and mirror images, each image by itself, if configured."""
        if not self.augments:
            return batch
        images = batch["image"]
        if self.crop_padding:
            images = random_crops(images, self.crop_padding, rng)
        if self.flip:
            mirrored = torch.rand(len(images), generator=rng).to(images.device) < 0.5
            images = torch.where(mirrored[:, None, None, None], images.flip(3), images)
        return {**batch, "image": images}

    def outputs(self, model: nn.Module, batch: Batch) -> torch.Tensor:
        """Logits ``(N, num_classes)``."""
        logits: torch.Tensor = model(batch["image"])
        return logits

    def sample_losses(self, outputs: torch.Tensor, batch: Batch) -> torch.Tensor:
        """Cross entropy of every sample ``(N,)`` in nats, smoothed as :meth:`loss` is."""
        return functional.cross_entropy(
            outputs, batch["label"], reduction="none", label_smoothing=self.label_smoothing
        )

    def sample_statistics(self, outputs: torch.Tensor, batch: Batch) -> dict[str, torch.Tensor]:
        """Loss, hit, count ``(N,)`` and the last two by class ``(N, num_classes)``."""
        labels = batch["label"]
        loss = functional.cross_entropy(outputs.double(), labels, reduction="none")
        correct = (outputs.argmax(dim=1) == labels).double()
        class_count = functional.one_hot(labels, self.num_classes).double()
        return {
            "loss": loss,
            "correct": correct,
            "count": torch.ones_like(loss),
            "class_correct": class_count * correct[:, None],
            "class_count": class_count,
        }

    def metrics(self, statistics: Batch) -> dict[str, float]:
        """``accuracy`` in [0, 1] and ``loss``, the mean plain cross entropy in nats."""
        count = statistics["count"]
        return {
            "accuracy": (statistics["correct"] / count).item(),
            "loss": (statistics["loss"] / count).item(),
        }

    def details(self, statistics: Batch) -> dict[str, list[float]]:
        """``recall`` of each class in [0, 1], NaN for a class without samples."""
        recall: list[float] = (statistics["class_correct"] / statistics["class_count"]).tolist()
        return {"recall": recall}

    def validate(self, model: nn.Module, image: ImageSpec) -> None:
        """Run ``model`` on two black images; raise UserError unless it gives a logit per class."""
        advice = "Choose a model for images of this shape."
        shape = answer_shape(model, image, lambda net, images: net(images), "", advice)
        if len(shape) == 4 and not isinstance(shape, str):
            raise UserError(
                f"the model gives images, {worded(shape)} for N = 2, and task 'classification' "
                "needs one logit per class. Choose a classifier, or set task.name to what the "
                "model does."
            )
        if shape != (2, image.num_classes):
            raise UserError(
                f"the model must return logits of shape (N, {image.num_classes}), one per class of "
                f"the data set (got {worded(shape)} for N = 2). Set its number of outputs to "
                f"{image.num_classes}."
            )


def random_crops(images_NCHW: torch.Tensor, padding: int, rng: torch.Generator) -> torch.Tensor:
    """Each image moved by up to ``padding`` pixels; what comes in from outside is 0, the mean."""
    size, _, height, width = images_NCHW.shape
    padded = functional.pad(images_NCHW, (padding,) * 4)
    windows = padded.unfold(2, height, 1).unfold(3, width, 1)
    top, left = torch.randint(2 * padding + 1, (2, size), generator=rng)
    rows = torch.arange(size, device=images_NCHW.device)
    return windows[rows, :, top.to(rows.device), left.to(rows.device)]
