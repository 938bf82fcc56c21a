"""Super-resolution as one client learns it: with its own camera, against its own discriminator.

What the client finds out about its camera (a blur, and patches of noise that show what the camera
saw) and its discriminator are client state: they are in no reply.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import nn

from fedzda.base import ImageSpec, StrictConfig, UserError, torch_rng
from fedzda.clients.hooks.base import LocalRun
from fedzda.clients.tasks.base import Batch
from fedzda.clients.tasks.critic import Critic
from fedzda.clients.tasks.lenses import kernel_side
from fedzda.clients.tasks.super_resolution import SPECTRUM_SIDE, SuperResolution
from fedzda.platform.data.federation import CLIENT
from fedzda.platform.records import Arrays
from fedzda.vision.metrics.colour import grey
from fedzda.vision.restoration.degradation import DegradationPool
from fedzda.vision.restoration.degradation_config import DegradationConfig
from fedzda.vision.restoration.kernel_estimation import estimate_blur, power_spectrum
from fedzda.vision.restoration.kernels import GaussianBlur
from fedzda.vision.restoration.noise_pool import flat_patches
from fedzda.vision.restoration.real_world import EstimatedDegradation

DEGRADATION, DISCRIMINATOR = "degradation", "discriminator"
"""Records of a client's state."""

_POOL = 256
"""Most patches of noise that a client keeps."""

Degrade = Callable[[torch.Tensor, torch.Generator], torch.Tensor]


class LocalSuperResolution(SuperResolution):
    """The task of one client in one round; it leaves only clean photographs in ``run.data``.

    Where the data of several clients are pooled, each client's images get its own degradation.

    Args:
        config: Of the task.
        image: The images.
        run: The client's round.
    """

    def __init__(self, config: StrictConfig, image: ImageSpec, run: LocalRun) -> None:
        super().__init__(config, image)
        clients = run.data[CLIENT]
        found: Arrays = dict(run.call.state.arrays.get(DEGRADATION, {}))
        self.degradations: dict[int, Degrade] = {}
        keep = torch.zeros(len(clients), dtype=torch.bool, device=clients.device)
        for client in sorted(set(clients.tolist())):
            rows = torch.nonzero(clients == client)[:, 0]
            own, clean = _shared_out(rows, self.config.own_share)
            keep[clean] = True
            if self.config.degradation == "estimated" and _blur(client) not in found:
                found |= self._estimated(run, client, own, clean)
            self.degradations[client] = self._degradation(client, found)
        run.data = {name: column[keep] for name, column in run.data.items()}
        if found:
            run.state.arrays[DEGRADATION] = found
        self.critic: Critic | None = None
        if self.config.adversarial is not None:
            rng = torch_rng(run.runtime.seed, "discriminator", run.call.client)
            kept = run.call.state.arrays.get(DISCRIMINATOR)
            self.critic = Critic(self.config.adversarial, image.shape[0], rng, kept, clients.device)

    def shrunk(self, large_CHW: torch.Tensor, client: int, rng: torch.Generator) -> torch.Tensor:
        """The small image of a training patch, as far as the client knows its camera."""
        degrade = self.degradations[client]
        return degrade(large_CHW, rng)

    def loss(self, model: nn.Module, batch: Batch) -> torch.Tensor:
        """Distance from the truth; in training a discriminator takes a step of its own and then
        adds its judgement, weighed."""
        given, truth = self.learned(batch)
        restored = model(given)
        loss = self.distance(restored, truth)
        if self.critic is not None and torch.is_grad_enabled():
            self.critic.learn(restored.detach(), truth)
            loss = loss + self.critic.config.weight * self.critic.judge(restored, truth)
        return loss

    def finish(self, run: LocalRun) -> None:
        """Keep the discriminator on the client."""
        if self.critic is not None:
            run.state.arrays[DISCRIMINATOR] = self.critic.arrays()

    def _degradation(self, client: int, found: Arrays) -> Degrade:
        scale = self.config.scale
        if self.config.degradation == "bicubic":
            return EstimatedDegradation(scale)
        if self.config.degradation == "oracle":
            return self.lens(client)
        if self.config.degradation != "estimated":
            pool = DegradationConfig(preset=self.config.degradation, scale=scale)
            return DegradationPool(pool)
        wide, narrow, angle = found[_blur(client)].tolist()
        noise = torch.from_numpy(np.array(found[_noise(client)]))
        blurs = [GaussianBlur(wide, narrow, angle)]
        return EstimatedDegradation(scale, blurs, noise, kernel_side(scale))

    def _estimated(
        self, run: LocalRun, client: int, own: torch.Tensor, clean: torch.Tensor
    ) -> Arrays:
        """Blur ``(3,)`` and noise patches ``(M, C, S, S)`` from what the camera saw."""
        scale = self.config.scale
        seen = [self.taken(image, client).cpu() for image in self._large(run, own)]
        power = power_spectrum(self._large(run, clean).cpu(), SPECTRUM_SIDE * scale)
        found = estimate_blur(seen, power, scale)
        rng = torch_rng(run.runtime.seed, "white-noise", client)
        pool = self._noise(seen, found.noise, rng)
        blur = found.blur
        step = -(-len(pool) // _POOL)
        return {
            _blur(client): np.array([blur.wide, blur.narrow, blur.angle]),
            _noise(client): pool[::step].float().numpy().copy(),
        }

    def _noise(self, seen: list[torch.Tensor], level: float, rng: torch.Generator) -> torch.Tensor:
        """Noise patches ``(M, C, S, S)`` of images; white ones of a deviation ``level`` of their
        grey values where too few are flat."""
        side, channels = self.config.noise_side, seen[0].shape[0]
        try:
            pool = flat_patches(seen, side, self.config.noise_variance)
        except UserError:
            pool = torch.zeros(0)
        if len(pool) >= self.config.noise_patches:
            return pool
        # independent channels partly cancel each other in a grey value
        weights = grey(torch.eye(channels).view(channels, channels, 1, 1))
        noise = torch.randn(_POOL, channels, side, side, generator=rng)
        return noise * (level / float(weights.norm()))

    def _large(self, run: LocalRun, rows: torch.Tensor) -> torch.Tensor:
        return self.large({"image": run.data["image"][rows]})


def _shared_out(rows: torch.Tensor, share: float) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows that only the camera saw, evenly among all, and the others; one alone is both."""
    if len(rows) == 1:
        return rows, rows
    count = min(max(1, round(share * len(rows))), len(rows) - 1)
    own = torch.zeros(len(rows), dtype=torch.bool, device=rows.device)
    own[torch.arange(count) * len(rows) // count] = True
    return rows[own], rows[~own]


def _blur(client: int) -> str:
    return f"blur-{client}"


def _noise(client: int) -> str:
    return f"noise-{client}"
