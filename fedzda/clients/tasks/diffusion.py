"""Denoising diffusion (Ho et al. 2020, arXiv 2006.11239): clients learn to predict noise.

Evaluation draws time steps and noise from the content of each image, so that a client's figures do
not depend on batches, workers or rounds.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from fedzda.base import Cost, ImageSpec, StrictConfig, Turn, UserError, Variant, torch_rng
from fedzda.clients.tasks.base import Batch, Outputs, Task
from fedzda.clients.tasks.config import DiffusionConfig
from fedzda.clients.tasks.diffusion_judge import compare_sets, train_judge
from fedzda.clients.tasks.diffusion_sampling import (
    deployed,
    draw_rows,
    gflop,
    make_sampler,
    plain_sampler,
    saved_bytes,
)
from fedzda.clients.tasks.trial import answer_shape, worded
from fedzda.clients.variants.costs import measured
from fedzda.clients.variants.sampling import way_of
from fedzda.compression.diffusion.sampling import add_noise, sample

if TYPE_CHECKING:
    from fedzda.clients.runtime import ClientRuntime

_T = 1000
_SHOWN = 10
_POOL = 2000
"""Images of clients that samples are compared with, at most."""


class Diffusion(Task):
    """Noise prediction; the model is called as ``model(noisy, timesteps)``.

    A batch holds ``image``, normalised float ``(N, C, H, W)``, and ``label``, which is not learned
    from; in training also ``noise`` and ``timestep`` (see :meth:`augment`).
    """

    Config = DiffusionConfig
    columns = ("image", "label")
    primary = "noise_error"
    higher_is_better = False
    means_only = ("gflop_per_image",)

    def __init__(self, config: StrictConfig, image: ImageSpec) -> None:
        assert isinstance(config, DiffusionConfig)
        self.config, self.image = config, image
        self._made: tuple[nn.Module, torch.Tensor] | None = None

    def augment(self, batch: Batch, rng: torch.Generator) -> Batch:
        """The batch with noise and a uniform time step for every image."""
        images = batch["image"]
        noise = torch.randn(images.shape, generator=rng).to(images.device)
        timestep = torch.randint(_T, (len(images),), generator=rng).to(images.device)
        return {**batch, "noise": noise, "timestep": timestep}

    def loss(self, model: nn.Module, batch: Batch) -> torch.Tensor:
        """Mean squared error of the predicted noise."""
        if "noise" not in batch:
            error: torch.Tensor = self.outputs(model, batch)["error"]
            return error.mean()
        noisy = self._noisy(batch["image"], batch["noise"], batch["timestep"])
        return functional.mse_loss(model(noisy, batch["timestep"]), batch["noise"])

    def outputs(self, model: nn.Module, batch: Batch) -> Outputs:
        """``error``: squared error of the noise per pixel, at one time step in each bin,
        ``(N, bins)``."""
        images, bins = batch["image"], self.config.bins
        noise, place = _own_draws(images, bins)
        errors = []
        for index in range(bins):
            timestep = ((index + place[:, index]) * _T / bins).long()
            found = model(self._noisy(images, noise, timestep), timestep)
            errors.append((found - noise).square().flatten(1).mean(dim=1))
        return {"error": torch.stack(errors, dim=1)}

    def sample_statistics(self, outputs: Outputs, batch: Batch) -> dict[str, torch.Tensor]:
        """Errors ``(N, bins)`` and counts ``(N,)``."""
        error = outputs["error"].double()
        return {"error": error, "count": torch.ones_like(error[:, 0])}

    def metrics(self, statistics: Batch) -> dict[str, float]:
        """``noise_error``, the mean squared error per pixel; 1 is what predicting nothing gets."""
        return {"noise_error": (statistics["error"].mean() / statistics["count"]).item()}

    def details(self, statistics: Batch) -> dict[str, list[float]]:
        """``bin_error``: the noise error in each bin of time steps, from little noise to much."""
        errors: list[float] = (statistics["error"] / statistics["count"]).tolist()
        return {"bin_error": errors}

    def passes(self, image: ImageSpec) -> float:
        """One sampling step of all."""
        return 1.0 / self.config.sampling_steps

    def cost(self, variant: Variant, model: nn.Module) -> Cost:
        """What a device takes to make one image in its way: multiply-adds of all sampling steps,
        without those that reuse saves; bytes with packed weights."""
        turn = Turn(0, 0, 0, training=False)
        tested = variant.deploy(variant.build(model, turn), None, turn)
        way, net = way_of(tested), deployed(tested)
        times, sampler = 1, plain_sampler(net, way, self.config)
        if way.reuse is None:  # all steps take the same, and counting them takes long
            times, sampler = way.steps or self.config.sampling_steps, partial(sample, net, steps=1)
        found = measured(net, self.image, lambda _, noise: sampler(noise))
        trained = [weight for weight in model.parameters() if weight.requires_grad]
        held = [*model.parameters(), *model.buffers(), *trained]
        return replace(
            found,
            parameters=sum(weight.numel() for weight in trained),
            macs=times * found.macs,
            bytes=found.bytes - (saved_bytes(net, way.bits) if way.bits is not None else 0),
            training_bytes=sum(value.numel() * value.element_size() for value in held),
        )

    def client_figures(
        self, runtime: ClientRuntime, client: int, model: nn.Module
    ) -> dict[str, float]:
        """What the client's device samples, compared with the training images of all clients.

        See :func:`fedzda.clients.tasks.diffusion_judge.compare_sets`; also ``gflop_per_image``,
        counted.
        """
        if not self.config.samples:
            return {}
        judge, pool = self._reference(runtime)
        rng = torch_rng(runtime.seed, "diffusion-samples", client)
        noise = torch.randn(self.config.samples, *self.image.shape, generator=rng)
        own = runtime.batch(runtime.federation.indices(client, "train"))["image"]
        sampler = make_sampler(model, self.config, self.image.shape, self._pixels(own) * 2 - 1, rng)
        made = sampler(noise.to(runtime.device)).clamp(-1, 1) / 2 + 0.5
        figures = compare_sets(judge, pool, made, self.image)
        cost = gflop(sampler, noise[:1].to(runtime.device))
        return {**figures, "gflop_per_image": cost}

    def _reference(self, runtime: ClientRuntime) -> tuple[nn.Module, torch.Tensor]:
        """The judge, and pixels of all clients that it compares with; made once per process."""
        if self._made is None:
            size = len(runtime.federation.train["label"])
            rows = np.unique(np.linspace(0, size - 1, min(size, _POOL)).round().astype(np.int64))
            pool = runtime.batch(rows)
            pixels = self._pixels(pool["image"])
            steps = self.config.judge_steps
            judge = train_judge(pixels, pool["label"], self.image, runtime.seed, steps)
            self._made = judge, pixels
        return self._made

    def sheet(
        self, models: Mapping[str, nn.Module], batch: Batch, class_names: list[str]
    ) -> torch.Tensor:
        """One row of samples per form, all from the same noise."""
        rng = torch_rng(0, "diffusion-sheet")
        device = batch["image"].device
        noise = torch.randn(_SHOWN, *self.image.shape, generator=rng).to(device)
        rows = []
        for name, model in models.items():
            # no client's images here: quantized forms are calibrated on samples of the model
            sampler = make_sampler(model, self.config, self.image.shape, None, rng)
            rows.append((name, sampler(noise).clamp(-1, 1) / 2 + 0.5))
        return draw_rows(rows)

    def validate(self, model: nn.Module, image: ImageSpec) -> None:
        """Run ``model`` on two noisy images; raise UserError unless it gives their noise."""
        advice = "Choose model diffusion-unet, or one that is called as model(noisy, timesteps)."
        shape = answer_shape(model, image, _first_step, " with time steps", advice)
        if shape != (2, *image.shape):
            raise UserError(
                f"task diffusion needs a model that returns noise of the shape of its images, "
                f"{(2, *image.shape)} (got {worded(shape)}). Choose model diffusion-unet."
            )

    def _pixels(self, images: torch.Tensor) -> torch.Tensor:
        """Normalised images as pixels in [0, 1]."""
        shape = (1, -1, 1, 1)
        return images * images.new_tensor(self.image.std).view(shape) + images.new_tensor(
            self.image.mean
        ).view(shape)

    def _noisy(
        self, images: torch.Tensor, noise: torch.Tensor, timestep: torch.Tensor
    ) -> torch.Tensor:
        return add_noise(self._pixels(images) * 2 - 1, noise, timestep)


def _first_step(model: nn.Module, images: torch.Tensor) -> object:
    return model(images, torch.zeros(len(images), dtype=torch.int64, device=images.device))


def _own_draws(images: torch.Tensor, bins: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Noise ``(N, C, H, W)`` and places in [0, 1) within each bin ``(N, bins)``, a function of each
    image alone."""
    noise, places = [], []
    for image in images.cpu().contiguous().numpy():
        rng = torch.Generator().manual_seed(zlib.crc32(np.ascontiguousarray(image).tobytes()))
        noise.append(torch.randn(image.shape, generator=rng))
        places.append(torch.rand(bins, generator=rng))
    return torch.stack(noise).to(images.device), torch.stack(places).to(images.device)
