"""Real-world super-resolution without pairs (the protocol of NTIRE 2020, arXiv 2005.01996).

Every client is a camera with a blur and a noise of its own. The generator is averaged; what a
client finds out about its camera, and its discriminator, stay with it. PSNR and SSIM are taken on
Y (BT.601, 16 to 235) of 8-bit results, without a border of ``scale`` pixels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from fedzda.base import ImageSpec, StrictConfig, UserError
from fedzda.clients.tasks.base import Batch
from fedzda.clients.tasks.lenses import Lens, make_lens
from fedzda.clients.tasks.restoration import (
    SMALLEST,
    Pair,
    Restoration,
    middle,
    multiple_of,
    own_rng,
)
from fedzda.clients.tasks.restoration_config import AdversarialConfig, SuperResolutionConfig
from fedzda.clients.tasks.trial import answer_shape, worded
from fedzda.platform.data.federation import CLIENT
from fedzda.vision.metrics.colour import luma
from fedzda.vision.restoration import patches as cutting
from fedzda.vision.restoration.ensemble import restore
from fedzda.vision.restoration.imresize import imresize, rounded
from fedzda.vision.restoration.networks import build

if TYPE_CHECKING:
    from fedzda.clients.hooks.base import LocalRun
    from fedzda.clients.runtime import ClientRuntime
    from fedzda.clients.tasks.base import Task

SPECTRUM_SIDE = 32
"""Pixels on each side of small images that the estimate of a blur needs."""


class SuperResolution(Restoration):
    """Large images from small ones of unknown cameras.

    A batch holds ``image``, normalised float ``(N, C, H, W)``, the large clean images; the number
    of the client that holds each ``(N,)``; and ``label``, which is not learned from.
    """

    Config = SuperResolutionConfig
    columns = ("image", "label", CLIENT)
    shown_before = "bicubic"
    means_only = ("bicubic_psnr",)

    def __init__(self, config: StrictConfig, image: ImageSpec) -> None:
        assert isinstance(config, SuperResolutionConfig)
        super().__init__(config, image, config.patch)
        self.config = config
        self.border = self.enlarges = config.scale

    def lens(self, client: int) -> Lens:
        """The camera of a client, which the client does not know."""
        return make_lens(self.config.lens, self.config.scale, self.config.camera_seed, client)

    def taken(self, large_CHW: torch.Tensor, client: int) -> torch.Tensor:
        """A scene as a client's camera shows it, a function of the two."""
        return self.lens(client)(large_CHW, own_rng(large_CHW, client))

    def large(self, batch: Batch) -> torch.Tensor:
        """The images of a batch in [0, 1], cut to multiples of the scale."""
        images, scale = self.pixels(batch), self.config.scale
        height, width = (extent // scale * scale for extent in images.shape[2:])
        return images[:, :, :height, :width]

    def example(self, batch: Batch, place: int) -> Pair:
        """See :class:`Restoration`."""
        one = {name: column[place : place + 1] for name, column in batch.items()}
        scale, side = self.config.scale, self.settings.test_crop
        truth = middle(self.large(one), side and side // scale * scale)
        return self.taken(truth[0], int(one[CLIENT][0])).unsqueeze(0), truth

    def patches(self, batch: Batch, rng: torch.Generator) -> Pair:
        """See :class:`Restoration`; shrunk as the clients' own tasks say."""
        config, scale = self.config, self.config.scale
        side = config.patch * scale
        large = self.large(batch)
        cuts = [
            cutting.patches([(image,)], config.crops, side, rng, config.flips)[0] for image in large
        ]
        truth = torch.cat(cuts)
        clients = batch[CLIENT].repeat_interleave(config.crops).tolist()
        pairs = zip(truth, clients, strict=True)
        return torch.stack([self.shrunk(image, client, rng) for image, client in pairs]), truth

    def shrunk(self, large_CHW: torch.Tensor, client: int, rng: torch.Generator) -> torch.Tensor:
        """The small image of a training patch: bicubic, where no client's own task knows better."""
        return rounded(imresize(large_CHW.unsqueeze(0), 1 / self.config.scale))[0]

    def restored(self, model: nn.Module, given_NCHW: torch.Tensor) -> torch.Tensor:
        """See :class:`Restoration`; in steps of 1/255."""
        return rounded(super().restored(model, given_NCHW))

    def measured(self, images_NCHW: torch.Tensor) -> torch.Tensor:
        """Y of BT.601."""
        return luma(images_NCHW)

    def enlarged(self, given_NCHW: torch.Tensor) -> torch.Tensor:
        """Bicubic, in steps of 1/255."""
        return rounded(imresize(given_NCHW, float(self.config.scale)))

    def for_client(self, run: LocalRun) -> Task:
        """The task with what this client finds out about its camera, and its discriminator."""
        from fedzda.clients.tasks.super_resolution_local import LocalSuperResolution

        return LocalSuperResolution(self.config, self.image, run)

    def client_figures(
        self, runtime: ClientRuntime, client: int, model: nn.Module
    ) -> dict[str, float]:
        """``bicubic_psnr`` in dB of enlarged test images, and ``gain_over_bicubic``."""
        rows = runtime.federation.indices(client, "test")
        if not len(rows):
            return {}
        levels = []
        for place in range(len(rows)):
            given, truth = self.example(runtime.batch(rows[place : place + 1]), 0)
            images = (self.restored(model, given), self.enlarged(given))
            levels.append([self.level(image, truth) for image in images])
        reached, bicubic = np.mean(levels, axis=0).tolist()
        return {"bicubic_psnr": bicubic, "gain_over_bicubic": reached - bicubic}

    def validate(self, model: nn.Module, image: ImageSpec) -> None:
        """Raise UserError unless the images are large enough and ``model`` enlarges them."""
        scale = self.config.scale
        least = max(SMALLEST + 2 * scale, self.config.patch * scale)
        self.check_size(image, least, f"task.patch at scale {scale}")
        self.check_crop(image, SMALLEST + 2 * scale, f"SSIM inside a border of {scale}")
        if self.config.adversarial is not None:
            self._check_judge(self.config.adversarial, image)
        if self.config.degradation == "estimated":
            needed = SPECTRUM_SIDE * scale
            self.check_size(image, needed, f"the estimate of a blur at scale {scale}")
            side = self.config.noise_side
            self.check_size(image, side * scale, f"task.noise_side: {side} at scale {scale}")
        self._check_answer(model, image)

    def _check_judge(self, config: AdversarialConfig, image: ImageSpec) -> None:
        """Raise UserError unless the discriminator has an opinion on a training patch."""
        side = self.config.patch * self.config.scale
        judge = build(config.discriminator, image.shape[0])
        patch = ImageSpec((image.shape[0], side, side), 1, image.mean, image.std)
        answer_shape(
            judge,
            patch,
            lambda net, images: net(images),
            f" (task.patch {self.config.patch} at scale {self.config.scale}), as the discriminator",
            "Raise task.patch, or lower task.adversarial.discriminator.halvings.",
        )

    def _check_answer(self, model: nn.Module, image: ImageSpec) -> None:
        """Raise UserError unless ``model`` enlarges such images by ``task.scale``."""
        scale = self.config.scale
        channels, height, width = image.shape
        small = ImageSpec((channels, height // scale, width // scale), 1, image.mean, image.std)
        advice = "Choose a super-resolver, for example sr-residual."
        shape = answer_shape(
            model, small, lambda net, images: restore(net, images, multiple_of(net)), "", advice
        )
        wanted = (2, channels, height // scale * scale, width // scale * scale)
        if shape != wanted:
            raise UserError(
                f"task.scale is {scale}, so the model must return shape {wanted} (got "
                f"{worded(shape)}). Let it enlarge by {scale} (model.scale, where it has one), or "
                "choose a super-resolver, for example sr-residual."
            )
