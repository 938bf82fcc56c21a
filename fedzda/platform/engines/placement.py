"""How many workers, and which share of a GPU each gets.

A GPU is shared by as many workers as find room in its memory next to each other, measured on the
client with the most samples: small models leave a GPU idle between their kernels, and a few
processes side by side fill the gaps.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from fedzda.base import UserError
from fedzda.platform.config import RayConfig

_USABLE = 0.9
"""Share of a GPU's memory that workers may fill: caching allocators hold more than they use."""


@dataclass(frozen=True)
class Footprint:
    """What one worker takes of a GPU, in bytes.

    Attributes:
        worker: Peak of the client with the most samples, and the process's own context.
        total: Memory of the GPU.
    """

    worker: int
    total: int

    def fitting(self) -> int:
        """Workers that one GPU has room for; at least one, which may then run out of memory."""
        return max(1, math.floor(_USABLE * self.total / max(self.worker, 1)))


@dataclass(frozen=True)
class Placement:
    """Attributes: ``workers``: processes; ``gpus``: share of a GPU each of them reserves."""

    workers: int
    gpus: float


def place(config: RayConfig, cpus: int, gpus: int, measure: Callable[[], Footprint]) -> Placement:
    """Workers for ``cpus`` cores and ``gpus`` GPUs.

    ``measure`` is called only where it decides: with GPUs and neither number given.

    Raises:
        UserError: ``gpus_per_worker`` asks for more GPUs than there are, or for one and a half.
    """
    share, wanted = config.gpus_per_worker, config.workers
    if share != "auto":
        if share > gpus:
            raise UserError(
                f"engine.gpus_per_worker is {share:g}, but Ray has {gpus} GPUs. Lower it, or leave "
                "it out."
            )
        if share > 1 and share != int(share):
            raise UserError(
                f"engine.gpus_per_worker is {share:g}, and above 1 only whole GPUs can be given to "
                f"a worker. Set it to {int(share)}, or to 1 or less."
            )
        # Ray never splits a share over two GPUs
        places = gpus * math.floor(1 / share) if 0 < share <= 1 else int(gpus / (share or 1))
        fitting = min(cpus, places) if share else cpus
        return Placement(wanted if isinstance(wanted, int) else max(1, fitting), float(share))
    if not gpus:
        return Placement(wanted if isinstance(wanted, int) else cpus, 0.0)
    if isinstance(wanted, int):
        return Placement(wanted, 1 / math.ceil(wanted / gpus))
    fitting = min(measure().fitting(), max(1, cpus // gpus))
    return Placement(max(1, min(cpus, gpus * fitting)), 1 / fitting)
