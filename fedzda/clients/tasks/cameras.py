"""Simulated cameras: what the sensor of a client does to a scene.

A camera is a function of ``camera_seed`` and the number of the client. N images, C channels, H
height, W width; pixels in [0, 1].
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch

from fedzda.base import torch_rng
from fedzda.clients.tasks.restoration_config import CameraNoiseConfig, GaussianNoiseConfig
from fedzda.vision.restoration.bayer import PATTERNS
from fedzda.vision.restoration.camera import (
    developed_deviation,
    process,
    random_camera,
    unprocess,
)
from fedzda.vision.restoration.noise import (
    gaussian,
    noise_map,
    poisson_gaussian,
    random_shot_read,
    variance,
)

Shuffle = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""Noisy and clean ``(N, C, H, W)`` to other noisy ones; noise is independent everywhere."""


class Sensor(Protocol):
    """The sensors of all clients."""

    def shoot(
        self,
        scene_NCHW: torch.Tensor,
        client: int,
        rng: torch.Generator,
        shuffle: Shuffle | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """What a client's camera makes of a scene: noisy, and the same without noise.

        With a noise map, the noisy image has twice the channels: behind it comes the standard
        deviation of the noise, as far as noisy image and camera tell it.

        Args:
            scene_NCHW: Clean images; an odd last row or column may be cut off.
            client: Whose camera.
            rng: A CPU generator of the noise.
            shuffle: What happens to the noise where it is still independent; left out: nothing.
        """
        ...

    def describe(self, client: int) -> str:
        """The camera in a few words."""
        ...


class GaussianSensor:
    """Independent noise; the truth is the scene itself.

    Args:
        config: Standard deviations.
        seed: ``camera_seed``.
        with_map: Give the noise map too.
    """

    def __init__(self, config: GaussianNoiseConfig, seed: int, with_map: bool = False) -> None:
        self.config, self.seed, self.with_map = config, seed, with_map

    def sigma(self, client: int) -> float:
        """Standard deviation on the scale 0 to 255."""
        given = self.config.sigma
        if not isinstance(given, list):
            return given
        share = torch.rand(1, generator=torch_rng(self.seed, "sensor", client)).item()
        return given[0] + (given[1] - given[0]) * share

    def shoot(
        self,
        scene_NCHW: torch.Tensor,
        client: int,
        rng: torch.Generator,
        shuffle: Shuffle | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """See :class:`Sensor`; nothing is clipped."""
        sigma = self.sigma(client) / 255
        noisy = gaussian(scene_NCHW, sigma, rng)
        if shuffle is not None:
            noisy = shuffle(noisy, scene_NCHW)
        if self.with_map:
            noisy = torch.cat([noisy, noise_map(noisy, shot=0.0, read=sigma**2)], dim=1)
        return noisy, scene_NCHW

    def describe(self, client: int) -> str:
        """Its standard deviation."""
        return f"sigma {self.sigma(client):.1f}"


class RawSensor:
    """Shot and read noise on the raw mosaic (``fedzda.vision.restoration.camera``).

    The Bayer patterns go round among the clients; colours and noise are drawn.

    Args:
        config: Range of the shot noise.
        seed: ``camera_seed``.
        with_map: Give the noise map too, that of the developed image.
    """

    def __init__(self, config: CameraNoiseConfig, seed: int, with_map: bool = False) -> None:
        self.config, self.seed, self.with_map = config, seed, with_map

    def noise(self, client: int) -> tuple[float, float]:
        """Shot and read variances."""
        low, high = self.config.shot
        return random_shot_read(torch_rng(self.seed, "sensor", client), (low, high))

    def pattern(self, client: int) -> str:
        """Bayer pattern."""
        return PATTERNS[client % len(PATTERNS)]

    def shoot(
        self,
        scene_NCHW: torch.Tensor,
        client: int,
        rng: torch.Generator,
        shuffle: Shuffle | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """See :class:`Sensor`; colour images only."""
        camera = random_camera(torch_rng(self.seed, "camera", client))
        pattern = self.pattern(client)
        height, width = (extent // 2 * 2 for extent in scene_NCHW.shape[2:])
        raw = unprocess(scene_NCHW[:, :, :height, :width], camera, pattern)
        shot, read = self.noise(client)
        noisy = poisson_gaussian(raw, shot, read, rng).clamp(0, 1)
        if shuffle is not None:
            noisy = shuffle(noisy, raw).clamp(0, 1)
        given = process(noisy, camera, pattern)
        if self.with_map:
            # of the noisy mosaic: nobody knows the clean one in a test
            level = variance(noisy, shot, read)
            given = torch.cat([given, developed_deviation(noisy, level, camera, pattern)], dim=1)
        return given, process(raw, camera, pattern)

    def describe(self, client: int) -> str:
        """Pattern and noise."""
        shot, read = self.noise(client)
        return f"{self.pattern(client)}, shot {shot:.2g}, read {read:.2g}"


def make_sensor(
    config: GaussianNoiseConfig | CameraNoiseConfig, seed: int, with_map: bool
) -> Sensor:
    """The sensors that a configuration names."""
    if isinstance(config, GaussianNoiseConfig):
        return GaussianSensor(config, seed, with_map)
    return RawSensor(config, seed, with_map)
