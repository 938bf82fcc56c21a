"""What denoising and super-resolution share: patches, figures of an image, sums, pictures.

A figure of an image is that of the challenges: PSNR and SSIM of every image by itself, then their
mean. N images, C channels, H height, W width; pixels in [0, 1].
"""

from __future__ import annotations

import zlib
from abc import abstractmethod
from collections.abc import Callable, Mapping

import torch
from torch import nn
from torch.nn import functional

from fedzda.base import ImageSpec, UserError, torch_rng
from fedzda.clients.tasks.base import Batch, Outputs, Task
from fedzda.clients.tasks.restoration_config import RestorationConfig
from fedzda.clients.tasks.restoration_sheet import draw_rows
from fedzda.vision.metrics.psnr import mean_squared_error, psnr
from fedzda.vision.metrics.ssim import ssim
from fedzda.vision.restoration.ensemble import restore, self_ensemble
from fedzda.vision.restoration.losses import charbonnier, l1

_LOSSES: dict[str, Callable[[torch.Tensor, torch.Tensor], torch.Tensor]] = {
    "l1": l1,
    "charbonnier": charbonnier,
    "mse": functional.mse_loss,
}

HIGHEST_PSNR = 100.0
"""PSNR in dB that equal images count with."""
SMALLEST = 11
"""Pixels on each side that SSIM needs."""

Pair = tuple[torch.Tensor, torch.Tensor]
"""What goes in, ``(N, C, H, W)``, and what should come out."""


class Restoration(Task):
    """Images to better images."""

    primary = "psnr"
    higher_is_better = True
    border = 0
    """Pixels on every side that figures leave out."""
    shown_before = "before"
    """Title of what goes in, in pictures."""
    enlarges = 1
    """Factor on height and width."""

    def __init__(self, settings: RestorationConfig, image: ImageSpec, patch: int) -> None:
        self.settings, self.image, self.patch = settings, image, patch

    @abstractmethod
    def example(self, batch: Batch, place: int) -> Pair:
        """Given image and truth ``(1, C, H, W)`` of one row of a batch, to measure on.

        A function of the row alone, so that figures do not depend on batches, workers or rounds.
        """

    @abstractmethod
    def patches(self, batch: Batch, rng: torch.Generator) -> Pair:
        """``crops`` random patches of every row of a batch, to train on."""

    def measured(self, images_NCHW: torch.Tensor) -> torch.Tensor:
        """What of images in [0, 1] figures are taken on."""
        return images_NCHW

    def enlarged(self, given_NCHW: torch.Tensor) -> torch.Tensor:
        """What goes in at the size of what comes out, for pictures."""
        return given_NCHW

    def given(self, image: ImageSpec) -> ImageSpec:
        """Pixels in [0, 1], as many as :meth:`example` gives."""
        channels, *sides = image.shape
        largest = self.settings.test_crop or max(sides)
        height, width = (min(side, largest) // self.enlarges for side in sides)
        plain = ((0.0,) * channels, (1.0,) * channels)
        return ImageSpec((channels, height, width), image.num_classes, *plain)

    def shown(self, batch: Batch) -> torch.Tensor:
        """The given images of all examples."""
        return torch.cat([self.example(batch, place)[0] for place in range(len(batch["image"]))])

    def passes(self, image: ImageSpec) -> float:
        """Pixels of a sample's patches over those of an example."""
        _, height, width = self.given(image).shape
        return self.settings.crops * self.patch**2 / (height * width)

    def augment(self, batch: Batch, rng: torch.Generator) -> Batch:
        """The batch with random patches, ``given`` and ``truth``."""
        given, truth = self.patches(batch, rng)
        return {**batch, "given": given, "truth": truth}

    def loss(self, model: nn.Module, batch: Batch) -> torch.Tensor:
        """Mean distance of the model's patches from the truth, as ``task.loss`` says."""
        given, truth = self.learned(batch)
        return self.distance(model(given), truth)

    def learned(self, batch: Batch) -> Pair:
        """What goes in and what should come out; of a batch that was not augmented the patches that
        :meth:`augment` cuts with a fixed seed."""
        if "given" not in batch:
            batch = self.augment(batch, torch_rng(0, "restoration-loss"))
        return batch["given"], batch["truth"]

    def distance(self, images_NCHW: torch.Tensor, truth_NCHW: torch.Tensor) -> torch.Tensor:
        """``task.loss`` of images, a scalar."""
        return _LOSSES[self.settings.loss](images_NCHW, truth_NCHW)

    def pixels(self, batch: Batch) -> torch.Tensor:
        """The images of a batch in [0, 1]."""
        images = batch["image"]
        std, mean = (
            images.new_tensor(v).view(1, -1, 1, 1) for v in (self.image.std, self.image.mean)
        )
        return (images * std + mean).clamp(0, 1)

    def outputs(self, model: nn.Module, batch: Batch) -> Outputs:
        """Figures of every image, float64 ``(N,)``: see :meth:`sample_statistics`."""
        rows = [self._judged(model, batch, place) for place in range(len(batch["image"]))]
        return {name: torch.stack([row[name] for row in rows]) for name in rows[0]}

    def restored(self, model: nn.Module, given_NCHW: torch.Tensor) -> torch.Tensor:
        """What a model in eval mode makes of images of any size, in [0, 1]."""
        how = self_ensemble if self.settings.self_ensemble else restore
        return how(model, given_NCHW, multiple_of(model)).clamp(0, 1)

    def _judged(self, model: nn.Module, batch: Batch, place: int) -> dict[str, torch.Tensor]:
        given, truth = self.example(batch, place)
        found = self.restored(model, given)
        return {"loss": self.distance(found, truth).double(), **self.figures(found, truth)}

    def figures(
        self, found_1CHW: torch.Tensor, truth_1CHW: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        """Squared error, pixels, PSNR and SSIM of one image, float64 scalars."""
        image, truth = self.measured(found_1CHW), self.measured(truth_1CHW)
        error = mean_squared_error(image, truth, self.border)[0]
        height, width = (side - 2 * self.border for side in image.shape[2:])
        count = torch.full_like(error, image.shape[1] * height * width)
        return {
            "squared_error": error * count,
            "pixels": count,
            "psnr": psnr(image, truth, self.border)[0].clamp(max=HIGHEST_PSNR),
            "ssim": ssim(image, truth, self.border)[0],
        }

    def level(self, image_1CHW: torch.Tensor, truth_1CHW: torch.Tensor) -> float:
        """PSNR in dB of one image, as in :meth:`figures`."""
        pair = self.measured(image_1CHW.clamp(0, 1)), self.measured(truth_1CHW)
        return min(float(psnr(*pair, self.border)[0]), HIGHEST_PSNR)

    def sample_statistics(self, outputs: Outputs, batch: Batch) -> dict[str, torch.Tensor]:
        """Of every image ``(N,)``: summed squared error, number of values, PSNR in dB, SSIM, loss,
        and 1."""
        return {**outputs, "count": torch.ones_like(outputs["psnr"])}

    def metrics(self, statistics: Batch) -> dict[str, float]:
        """``psnr`` in dB and ``ssim``, means over images; ``pooled_psnr``, that of the mean squared
        error of all pixels; ``loss``, on whole images."""
        count = statistics["count"]
        error = statistics["squared_error"] / statistics["pixels"]
        return {
            "psnr": (statistics["psnr"] / count).item(),
            "ssim": (statistics["ssim"] / count).item(),
            "pooled_psnr": (-10 * torch.log10(error)).clamp(max=HIGHEST_PSNR).item(),
            "loss": (statistics["loss"] / count).item(),
        }

    def details(self, statistics: Batch) -> dict[str, list[float]]:
        """There are none."""
        return {}

    def sheet(
        self, models: Mapping[str, nn.Module], batch: Batch, class_names: list[str]
    ) -> torch.Tensor:
        """What goes in, what comes out of every model, and the truth, a row each, with PSNR."""
        pairs = [self.example(batch, place) for place in range(len(batch["image"]))]
        truth = [wanted for _, wanted in pairs]
        before = [self.enlarged(given).clamp(0, 1) for given, _ in pairs]
        rows = [(self._titled(self.shown_before, before, truth), before)]
        for name, model in models.items():
            after = [self.restored(model, given) for given, _ in pairs]
            title = "after" if len(models) == 1 else f"after {name}"
            rows.append((self._titled(title, after, truth), after))
        return draw_rows([*rows, ("truth", truth)])

    def _titled(self, title: str, images: list[torch.Tensor], truth: list[torch.Tensor]) -> str:
        pairs = zip(images, truth, strict=True)
        levels = [self.level(image, wanted) for image, wanted in pairs]
        return f"{title}, {sum(levels) / len(levels):.1f} dB"

    def check_crop(self, image: ImageSpec, needed: int, why: str) -> None:
        """Raise UserError unless what :meth:`example` measures on has ``needed`` pixels on each
        side; images themselves were checked."""
        least = min(self.given(image).shape[1:]) * self.enlarges
        if least >= needed:
            return
        height, width = image.shape[1:]
        crop, cut = self.settings.test_crop, "Use larger images, or set data.size."
        found = f"the images have {height}x{width} pixels (height x width)"
        if crop is not None and crop < min(height, width):
            found, cut = f"task.test_crop is {crop}", "Raise it, or leave it out."
        raise UserError(
            f"{found}, which leaves {least} on each side to measure on, and {why} needs {needed}. "
            f"{cut}"
        )

    def check_size(self, image: ImageSpec, needed: int, why: str) -> None:
        """Raise UserError unless images have ``needed`` pixels on each side."""
        if min(image.shape[1:]) < needed:
            raise UserError(
                f"the images have {image.shape[1]}x{image.shape[2]} pixels (height x width), and "
                f"{why} needs {needed} on each side. Use larger images, or set data.size."
            )


def multiple_of(model: nn.Module) -> int:
    """What height and width of a model's images have to be multiples of."""
    return int(getattr(model, "multiple", 1))


def own_rng(image_CHW: torch.Tensor, client: int) -> torch.Generator:
    """Random numbers that depend on an image's pixels and on who holds it."""
    pixels = (image_CHW * 255).round().byte().cpu().contiguous().numpy()
    return torch_rng(0, "shot", zlib.crc32(pixels.tobytes()), client)


def middle(images_NCHW: torch.Tensor, side: int | None) -> torch.Tensor:
    """The middle of images, at most ``side`` pixels on each side; None: all of them."""
    height, width = images_NCHW.shape[2:]
    tall, wide = (min(side or extent, extent) for extent in (height, width))
    # even places keep a Bayer pattern
    top, left = (height - tall) // 4 * 2, (width - wide) // 4 * 2
    return images_NCHW[:, :, top : top + tall, left : left + wide]
