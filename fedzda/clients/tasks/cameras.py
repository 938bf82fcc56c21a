"""Simulated cameras: what the sensor of a client does to a scene.

A camera is a function of ``camera_seed`` and the number of the client. N images, C channels, H
height, W width; pixels in [0, 1].
"""

from __future__ import annotations

from typing import Protocol

import torch

from fedzda.base import torch_rng
from fedzda.clients.tasks.restoration_config import CameraNoiseConfig, GaussianNoiseConfig
from fedzda.vision.restoration.bayer import PATTERNS
from fedzda.vision.restoration.camera import process, random_camera, unprocess
from fedzda.vision.restoration.noise import gaussian, poisson_gaussian, random_shot_read


class Sensor(Protocol):
    """The sensors of all clients."""

    def shoot(
        self, scene_NCHW: torch.Tensor, client: int, rng: torch.Generator
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """What a client's camera makes of a scene: noisy, and the same without noise.

        Args:
            scene_NCHW: Clean images; an odd last row or column may be cut off.
            client: Whose camera.
            rng: A CPU generator of the noise.
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
    """

    def __init__(self, config: GaussianNoiseConfig, seed: int) -> None:
        self.config, self.seed = config, seed

    def sigma(self, client: int) -> float:
        """Standard deviation on the scale 0 to 255."""
        given = self.config.sigma
        if not isinstance(given, list):
            return given
        share = torch.rand(1, generator=torch_rng(self.seed, "sensor", client)).item()
        return given[0] + (given[1] - given[0]) * share

    def shoot(
        self, scene_NCHW: torch.Tensor, client: int, rng: torch.Generator
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """See :class:`Sensor`; nothing is clipped."""
        return gaussian(scene_NCHW, self.sigma(client) / 255, rng), scene_NCHW

    def describe(self, client: int) -> str:
        """Its standard deviation."""
        return f"sigma {self.sigma(client):.1f}"


class RawSensor:
    """Shot and read noise on the raw mosaic (``fedzda.vision.restoration.camera``).

    The Bayer patterns go round among the clients; colours and noise are drawn.

    Args:
        config: Range of the shot noise.
        seed: ``camera_seed``.
    """

    def __init__(self, config: CameraNoiseConfig, seed: int) -> None:
        self.config, self.seed = config, seed

    def noise(self, client: int) -> tuple[float, float]:
        """Shot and read variances."""
        low, high = self.config.shot
        return random_shot_read(torch_rng(self.seed, "sensor", client), (low, high))

    def pattern(self, client: int) -> str:
        """Bayer pattern."""
        return PATTERNS[client % len(PATTERNS)]

    def shoot(
        self, scene_NCHW: torch.Tensor, client: int, rng: torch.Generator
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """See :class:`Sensor`; colour images only."""
        camera = random_camera(torch_rng(self.seed, "camera", client))
        pattern = self.pattern(client)
        height, width = (extent // 2 * 2 for extent in scene_NCHW.shape[2:])
        raw = unprocess(scene_NCHW[:, :, :height, :width], camera, pattern)
        shot, read = self.noise(client)
        noisy = poisson_gaussian(raw, shot, read, rng).clamp(0, 1)
        return process(noisy, camera, pattern), process(raw, camera, pattern)

    def describe(self, client: int) -> str:
        """Pattern and noise."""
        shot, read = self.noise(client)
        return f"{self.pattern(client)}, shot {shot:.2g}, read {read:.2g}"


def make_sensor(config: GaussianNoiseConfig | CameraNoiseConfig, seed: int) -> Sensor:
    """The sensors that a configuration names."""
    if isinstance(config, GaussianNoiseConfig):
        return GaussianSensor(config, seed)
    return RawSensor(config, seed)
