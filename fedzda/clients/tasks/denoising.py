"""Image denoising: pairs of noisy and clean images, or clean images and the noise of simulated
cameras (the protocol of NTIRE 2020, arXiv 2005.04117: PSNR and SSIM of every image, then the mean).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from fedzda.base import ImageSpec, StrictConfig, UserError
from fedzda.clients.tasks.base import Batch
from fedzda.clients.tasks.cameras import Sensor, Shuffle, make_sensor
from fedzda.clients.tasks.restoration import (
    SMALLEST,
    Pair,
    Restoration,
    middle,
    multiple_of,
    own_rng,
)
from fedzda.clients.tasks.restoration_config import CameraNoiseConfig, DenoisingConfig
from fedzda.clients.tasks.trial import answer_shape, worded
from fedzda.platform.data.federation import CLIENT
from fedzda.vision.restoration import patches as cutting
from fedzda.vision.restoration.ensemble import restore
from fedzda.vision.restoration.filters import bilateral_filter, gaussian_filter
from fedzda.vision.restoration.permutation import permute_by_channel

if TYPE_CHECKING:
    from fedzda.clients.runtime import ClientRuntime

Filter = Callable[[torch.Tensor], torch.Tensor]

_FILTERS: dict[str, list[Filter]] = {
    "gaussian": [partial(gaussian_filter, sigma=sigma) for sigma in (0.5, 0.7, 1.0, 1.5)],
    "bilateral": [
        partial(bilateral_filter, sigma_space=space, sigma_colour=colour)
        for space, colour in ((1.5, 0.05), (1.5, 0.1), (1.5, 0.2), (2.5, 0.2))
    ],
}
"""Filters that results are compared with; of each the best strength for a client counts."""


class Denoising(Restoration):
    """Clean images from noisy ones.

    A batch holds ``image``, normalised float ``(N, C, H, W)``, noisy if there is also ``clean``,
    uint8 of the same shape; the number of the client that holds each image ``(N,)``; and ``label``,
    which is not learned from. With ``task.noise_map`` a model is given ``(N, 2 C, H, W)``: the
    noisy image, then the standard deviation of its noise.
    """

    Config = DenoisingConfig
    shown_before = "noisy"
    means_only = ("noisy_psnr", "gaussian_psnr", "bilateral_psnr", "frames")

    def __init__(self, config: StrictConfig, image: ImageSpec) -> None:
        assert isinstance(config, DenoisingConfig)
        super().__init__(config, image, config.patch)
        self.config = config
        self.sensor: Sensor | None = None
        self.columns = ("image", "clean", "label", CLIENT)
        if config.noise is not None:
            self.sensor = make_sensor(config.noise, config.camera_seed, config.noise_map)
            self.columns = ("image", "label", CLIENT)

    def given(self, image: ImageSpec) -> ImageSpec:
        """See :class:`Restoration`; with the noise map, and even sides for a mosaic."""
        found = super().given(image)
        if isinstance(self.config.noise, CameraNoiseConfig):
            channels, height, width = found.shape
            found = replace(found, shape=(channels, height // 2 * 2, width // 2 * 2))
        return _with_map(found) if self.config.noise_map else found

    def enlarged(self, given_NCHW: torch.Tensor) -> torch.Tensor:
        """What goes in, without the noise map."""
        return given_NCHW[:, : self.image.shape[0]]

    def example(self, batch: Batch, place: int) -> Pair:
        """See :class:`Restoration`; simulated noise is drawn from the image's own pixels."""
        one = {name: column[place : place + 1] for name, column in batch.items()}
        image, side = self.pixels(one), self.settings.test_crop
        if self.sensor is None:
            return middle(image, side), middle(_unit(one["clean"]), side)
        client = int(one[CLIENT][0])
        return self.sensor.shoot(middle(image, side), client, own_rng(image[0], client))

    def patches(self, batch: Batch, rng: torch.Generator) -> Pair:
        """See :class:`Restoration`; simulated noise that is ``fresh`` is drawn anew."""
        config = self.config
        fresh = config.noise is not None and config.noise.fresh
        scenes = [(image,) for image in self.pixels(batch)] if fresh else self._pairs(batch, rng)
        cuts = [
            cutting.patches([scene], config.crops, config.patch, rng, config.flips, step=2)
            for scene in scenes
        ]
        cut = [torch.cat(parts) for parts in zip(*cuts, strict=True)]
        if not fresh:
            return cut[0], cut[1]
        return self._shots(cut[0], batch[CLIENT].repeat_interleave(config.crops), rng)

    def _pairs(self, batch: Batch, rng: torch.Generator) -> list[tuple[torch.Tensor, ...]]:
        """The one noisy shot of every row and its truth, ``(C, H, W)``; noise may be permuted."""
        shuffle: Shuffle | None = None
        if self.config.permutation is not None:
            shuffle = partial(permute_by_channel, bin_size=self.config.permutation, rng=rng)
        images = self.pixels(batch)
        if self.sensor is None:
            truth = _unit(batch["clean"])
            images = images if shuffle is None else shuffle(images, truth)
            return list(zip(images, truth, strict=True))
        shots = [
            self.sensor.shoot(image.unsqueeze(0), client, own_rng(image, client), shuffle)
            for image, client in zip(images, batch[CLIENT].tolist(), strict=True)
        ]
        return [(given[0], truth[0]) for given, truth in shots]

    def _shots(self, scenes: torch.Tensor, clients: torch.Tensor, rng: torch.Generator) -> Pair:
        assert self.sensor is not None
        count, channels, *sides = scenes.shape
        given = scenes.new_empty((count, (1 + self.config.noise_map) * channels, *sides))
        truth = torch.empty_like(scenes)
        for client in sorted(set(clients.tolist())):
            own = clients == client
            given[own], truth[own] = self.sensor.shoot(scenes[own], client, rng)
        return given, truth

    def client_figures(
        self, runtime: ClientRuntime, client: int, model: nn.Module
    ) -> dict[str, float]:
        """What ``model`` gains on the client's test images, and figures of its clip if wanted.

        ``noisy_psnr`` in dB, ``gaussian_psnr`` and ``bilateral_psnr`` (each at the best strength
        for this client, which no filter would know), ``gain_over_noisy`` and ``gain_over_filters``:
        what the model is better by than the noisy image, and than the better filter. With
        ``task.video`` also those of :func:`fedzda.clients.tasks.video.clip_figures`.
        """
        rows = runtime.federation.indices(client, "test")
        if not len(rows):
            return {}
        pairs = [
            self.example(runtime.batch(rows[place : place + 1]), 0) for place in range(len(rows))
        ]
        improve = partial(self.restored, model)
        reached = self._mean_psnr(pairs, improve)
        images = [(self.enlarged(given), truth) for given, truth in pairs]
        noisy = self._mean_psnr(images, torch.clone)
        best = {
            f"{name}_psnr": max(self._mean_psnr(images, one) for one in strengths)
            for name, strengths in _FILTERS.items()
        }
        figures = {
            "noisy_psnr": noisy,
            **best,
            "gain_over_noisy": reached - noisy,
            "gain_over_filters": reached - max(best.values()),
        }
        if self.config.video is not None:
            from fedzda.clients.tasks.video import clip_figures

            figures |= clip_figures(pairs, improve, self.config.video)
        return figures

    def _mean_psnr(self, pairs: list[Pair], improve: Filter) -> float:
        return float(np.mean([self.level(improve(noisy), truth) for noisy, truth in pairs]))

    def validate(self, model: nn.Module, image: ImageSpec) -> None:
        """Run ``model`` on two black images; raise UserError unless it gives images like them."""
        config = self.config
        self.check_size(image, max(SMALLEST, config.patch), f"task.patch: {config.patch}")
        self.check_crop(image, SMALLEST, "SSIM")
        if isinstance(config.noise, CameraNoiseConfig) and image.shape[0] != 3:
            raise UserError(
                f"task.noise is 'camera', which develops colour images, and the data set's have "
                f"{image.shape[0]} channel(s). Set data.channels to 3, or task.noise.name to "
                "'gaussian'."
            )
        if config.permutation is not None and config.noise is None and image.shape[0] != 1:
            raise UserError(
                f"task.permutation is {config.permutation}, and the noise of developed colour "
                "images is alike in neighbouring pixels, which a permutation would destroy. Set "
                "data.channels to 1 if the pairs are raw mosaics, or leave out task.permutation."
            )
        if config.video is not None:
            from fedzda.clients.tasks.video_checks import check_video

            check_video(self.given(image), config.video)
        shape = self._answer(model, image)
        if shape != (2, *image.shape):
            raise UserError(
                f"task denoising needs a model that returns images of the shape of its input, "
                f"{(2, *image.shape)} (got {worded(shape)}). Choose a denoiser, for example dncnn."
            )
        if config.patch % multiple_of(model):
            raise UserError(
                f"task.patch is {config.patch}, and the model needs multiples of "
                f"{multiple_of(model)}. Change task.patch."
            )

    def _answer(self, model: nn.Module, image: ImageSpec) -> tuple[int, ...] | str:
        """Shape of what ``model`` makes of black images, with a noise map as the task has it."""
        wanted = self.config.noise_map
        try:
            return self._tried(model, image, wanted)
        except UserError as error:
            failure = error
        try:
            self._tried(model, image, not wanted)
        except UserError:
            raise failure from None
        if wanted:
            raise UserError(
                "task.noise_map is true, and the model takes images without a noise map. Set "
                "model.noise_map to true (dncnn, mrdn, mcu-net, mwrcanet and nafnet have it), or "
                "task.noise_map to false."
            )
        raise UserError(
            "task.noise_map is false, and the model takes a noise map beside the image. Set "
            "task.noise_map to true, which needs task.noise, or model.noise_map to false."
        )

    def _tried(self, model: nn.Module, image: ImageSpec, with_map: bool) -> tuple[int, ...] | str:
        return answer_shape(
            model,
            _with_map(image) if with_map else image,
            lambda net, images: restore(net, images, multiple_of(net)),
            " with their noise map" if with_map else "",
            "Choose a denoiser, for example dncnn.",
        )


def _with_map(image: ImageSpec) -> ImageSpec:
    """What images with a noise map look like: twice the channels."""
    channels, height, width = image.shape
    mean, std = (0.0,) * channels, (1.0,) * channels
    shape = (2 * channels, height, width)
    return replace(image, shape=shape, mean=(*image.mean, *mean), std=(*image.std, *std))


def _unit(pixels: torch.Tensor) -> torch.Tensor:
    """uint8 to [0, 1]."""
    return pixels.float() / 255
